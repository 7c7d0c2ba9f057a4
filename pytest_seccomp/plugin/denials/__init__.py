"""`--seccomp-deny-log`: the hooks of a process that runs tests, the session that owns PATH, xdist, the summary."""
