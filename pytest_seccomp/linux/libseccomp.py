"""libseccomp's version: seccomp_version(3), which pyseccomp does not have."""

import ctypes


class _Version(ctypes.Structure):
    """struct scmp_version, seccomp.h."""

    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


def version() -> str | None:
    """Such as "2.5.4"; None where the library is not installed."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    function = library.seccomp_version
    function.argtypes = ()
    function.restype = ctypes.POINTER(_Version)
    found = function().contents
    return f"{found.major}.{found.minor}.{found.micro}"
