"""Commands before a run that give it a file system of its own."""

from pathlib import Path


def mounted(folder: Path, options: str) -> list[str]:
    """A command before a run, which sees a tmpfs of its own in `folder`, full or read-only as `options` say."""
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", script, str(folder)]
