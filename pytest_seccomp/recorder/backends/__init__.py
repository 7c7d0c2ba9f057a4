"""The ways to see system calls, one file each."""
