"""The commands of `pytest-seccomp`, one file each."""
