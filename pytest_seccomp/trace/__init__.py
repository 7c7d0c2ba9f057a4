"""The data: traces, their files, merging them, telling them in words. Knows nothing of pytest and of processes."""
