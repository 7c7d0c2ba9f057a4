"""Kernel interfaces, one file each: thin, typed, without policy. ctypes lives here and nowhere else."""
