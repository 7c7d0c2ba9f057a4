"""What is expected, and the verdict: which denial fails what. Pure: knows nothing of pytest and of processes."""
