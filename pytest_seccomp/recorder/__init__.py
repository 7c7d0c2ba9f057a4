"""The recorder: the process that receives the kernel's events, and the client that talks to it."""
