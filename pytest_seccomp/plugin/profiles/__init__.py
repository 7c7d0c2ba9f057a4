"""`--seccomp-profile`: what tests call is judged by a profile, or added to it."""
