"""Audit records of type SECCOMP as the kernel prints them, made for tests: kernel/auditsc.c, kernel/audit.c."""

_QUOTED = frozenset(range(0x21, 0x7F)) - {ord('"')}


def untrusted(string: bytes) -> bytes:
    """A name or path as audit_log_n_untrustedstring() prints it."""
    return b'"%s"' % string if _QUOTED.issuperset(string) else string.hex().upper().encode()


def record(
    *,
    time_ms: int = 1795473200693,
    serial: int = 14,
    auid: int = 0xFFFFFFFF,
    uid: int = 1000,
    gid: int = 100,
    session: int = 7,
    subject: bytes | None = None,
    pid: int = 42,
    comm: bytes = b"curl",
    exe: bytes | None = b"/usr/bin/curl",
    signal: int = 0,
    audit_arch: int = 0xC000003E,
    number: int = 41,
    compat: bool = False,
    address: int = 0x7F61E04F34F7,
    action: int = 0x50000,
) -> bytes:
    """The text of one."""
    label = b"" if subject is None else b" subj=%s" % subject
    path = b"(null)" if exe is None else untrusted(exe)
    return (
        b"audit(%d.%03d:%d): " % (*divmod(time_ms, 1000), serial)
        + b"auid=%d uid=%d gid=%d ses=%d%s pid=%d comm=%s exe=%s" % (
            auid, uid, gid, session, label, pid, untrusted(comm), path
        )
        + b" sig=%d arch=%x syscall=%d compat=%d ip=0x%x code=0x%x" % (
            signal, audit_arch, number, compat, address, action
        )
    )  # fmt: skip
