"""Syscall profiling of test suites: a pytest plugin. See docs/ for the guide and the design."""

__version__ = "0.1.0"
