"""Policies, and groups of system calls. Pure: knows nothing of processes and of pytest."""
