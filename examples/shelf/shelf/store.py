"""The store: one file for each key, replaced as a whole."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Shelf:
    """Values by key in `folder`. A reader sees an old or a new value, never half of one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, value: bytes) -> None:
        """Store `value` under `key`; it is on the disk when this returns."""
        path = self._path(key)
        unfinished = path.with_name(f".{key}.{os.getpid()}")
        with open(unfinished, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)

    def get(self, key: str) -> bytes:
        """Return the value of `key`. KeyError where there is none."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def remove(self, key: str) -> None:
        """Remove `key`. KeyError where there is none."""
        try:
            self._path(key).unlink()
        except FileNotFoundError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, in no particular order."""
        return (entry.name for entry in os.scandir(self.folder) if not entry.name.startswith("."))

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError(f"not a key: {key!r}")
        return self.folder / key
