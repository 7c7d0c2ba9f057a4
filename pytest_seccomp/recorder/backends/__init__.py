"""The ways to see system calls, one file each.

A backend is a module here with these functions:

self_check()     trace a child that makes a known number of calls; raises BackendError where it does not work
CHECKED          what that has shown where it raises nothing
notes()          what a user should know of it on this machine
attach()         in pytest: come under the filter; raises BackendError
receive_listener()   in the recorder: what attach has sent
Supervisor       in the recorder: receives the kernel's events until nobody is traced any more
"""

AUTO = "auto"

NAMES = ("notify",)
"""All of them, in the order in which `auto` tries them."""
