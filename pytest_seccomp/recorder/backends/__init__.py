"""The ways to see system calls, one file each.

A backend is a module here with these names:

self_check()     trace a child that makes a known number of calls; returns what the user is to know before the run,
                 raises BackendError where it does not work
CHECKED          what that has shown where it raises nothing
notes()          what `pytest-seccomp doctor` says of it on this machine
attach()         in pytest: come under the filter; returns the marker calls, raises BackendError
READS_AT_ANY_TIME    whether the recorder reads messages without being rung for
record()         in the recorder: receive the kernel's events and count them until that is over
"""

AUTO = "auto"

NAMES = ("ebpf", "notify", "audit", "kmsg")
"""All of them, from the best to the worst: the order in which `auto` tries them."""
