"""`seccomp_run` and `seccomp_popen`: programs in sandboxes, whose calls and denials are the running test's."""
