"""`python -m pytest_seccomp`: the command `pytest-seccomp`."""

import sys

from pytest_seccomp.cli import main

if __name__ == "__main__":
    sys.exit(main())
