"""The export: all keys and values as lines, in the order of the program `sort`."""

import subprocess

from shelf.store import Shelf


def export_sorted(shelf: Shelf) -> str:
    """Return "key value" lines, sorted byte by byte in a child process."""
    lines = "".join(f"{key} {shelf.get(key).decode()}\n" for key in shelf)
    environment = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
    result = subprocess.run(["sort"], input=lines, capture_output=True, text=True, check=True, env=environment)
    return result.stdout
