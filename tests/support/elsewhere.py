"""A Python for an xdist worker that sees other files than its controller, as on another host."""

import sys
from pathlib import Path


def python_elsewhere(folder: Path) -> str:
    """A --tx for a Python that sees another /tmp and another TMPDIR than the controller."""
    wrapper = folder / "python"
    wrapper.write_text(
        "#!/bin/sh\n"
        "# the folder of the tests stays visible, whatever it lies in\n"
        f"exec unshare --mount sh -c '"
        f"mkdir -p {folder}/hold && mount --bind {folder} {folder}/hold && "
        'mount -t tmpfs tmpfs "$TMPDIR" && exec "$@"\' -- '
        f'{sys.executable} "$@"\n'
    )
    wrapper.chmod(0o755)
    return f"popen//python={wrapper}"
