"""`@pytest.mark.seccomp` and `seccomp_trace`: policies that a test is under, and blocks of it that are recorded."""
