"""Make or refresh the project's own environment: `python3 tools/environment.py --help`.

This file runs on any Python 3, so that an old one gets a sentence and not a syntax error: it looks for a Python that is
new enough and hands over to build_environment.py.
"""

import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
NAMES = ["python3.14", "python3.13", "python3.12", "python3.11"]


def new_enough(path):
    """Whether the program at `path` runs (a version manager's stand-in may not) and is no older than OLDEST."""
    test = "import sys; sys.exit(sys.version_info < %r)" % (OLDEST,)
    return subprocess.call([path, "-c", test], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0


if __name__ == "__main__":
    if sys.version_info < OLDEST:
        for found in filter(None, map(shutil.which, NAMES)):
            if new_enough(found):
                os.execv(found, [found, *sys.argv])
        sys.exit(
            "pytest-seccomp needs Python 3.11 or newer: {} is {}.{}, and none of {} is on the PATH "
            "(install one, or name it: make PYTHON=/path/to/python3)".format(
                sys.executable, sys.version_info[0], sys.version_info[1], ", ".join(NAMES)
            )
        )
    from build_environment import main

    main()
