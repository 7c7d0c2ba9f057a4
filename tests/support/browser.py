"""A page in a browser."""

import os
import subprocess
import tempfile
from pathlib import Path

SECONDS = 300
"""After which a browser that hangs is ended."""

_COMMAND = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--window-size=1400,1000", "--virtual-time-budget=2000",
)  # fmt: skip


def dump(page: Path) -> str:
    """What has become of a page when it has been loaded and its script has run. Raises SubprocessError or OSError."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [*_COMMAND, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
        environment = {**os.environ, "HOME": profile, "XDG_CONFIG_HOME": profile, "XDG_CACHE_HOME": profile}
        result = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=True
        )
    return result.stdout.decode()
