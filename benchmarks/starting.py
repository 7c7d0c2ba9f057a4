"""Run by `sandboxes.py`: for each line on stdin, a variant, it starts `/bin/true` so and says how long that took."""

import subprocess
import sys
from collections.abc import Callable
from time import perf_counter

from pytest_seccomp.linux.architecture import native
from pytest_seccomp.profile import names
from pytest_seccomp.profile.actions import Action
from pytest_seccomp.sandbox.running import run
from pytest_seccomp.sandbox.sandboxes import Sandboxes

COMMAND = ["/bin/true"]
PERMITTED = ("@system-service", "@default", "@process", "@file-system", "@basic-io", "@memlock")
"""Some four hundred calls, as docker's default profile has."""


def main() -> None:
    """Serve until stdin ends."""
    sandboxes = Sandboxes()
    denying = names.from_names(native(), Action.parse("errno:EPERM"), deny=["@internet"])
    permitting = names.from_names(native(), Action.parse("errno:EPERM"), allow=PERMITTED)
    variants: dict[str, Callable[[], object]] = {
        "plain": lambda: subprocess.run(COMMAND),
        "under a policy": lambda: run(COMMAND, sandboxes=sandboxes, policy=denying),
        "recorded": lambda: run(COMMAND, sandboxes=sandboxes),
        "with an allow-list": lambda: run(COMMAND, sandboxes=sandboxes, policy=permitting),
    }
    for line in sys.stdin:
        start = perf_counter()
        variants[line.strip()]()
        print((perf_counter() - start) * 1000, flush=True)
    sandboxes.close()


if __name__ == "__main__":
    main()
