"""The data: traces, their files, merging them. Knows nothing of pytest and of processes."""
