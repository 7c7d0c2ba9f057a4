"""What a test can need of the machine or of who runs it, and how to find out: `@pytest.mark.needs("strace")`.

The probes do not use the code under test: a probe that the plugin itself answers would hide the plugin's own errors as
skipped tests.
"""

import ctypes
import functools
import importlib.util
import os
import platform
import shutil
import socket
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import browser
import cgroups
import container
import i386
import logged
import programs

CONTAINER_PROFILE = Path("/usr/share/containers/seccomp.json")
DOCKERS_PROFILE = Path("/usr/share/gocode/src/github.com/docker/docker/profiles/seccomp/default.json")


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One thing that a test can need. `missing` returns what is wrong, or None where it is there."""

    name: str
    missing: Callable[[], str | None]
    remedy: str = ""
    root_only: bool = False
    about_the_user: bool = False

    def excused(self) -> bool:
        """Whether its absence is due to who runs the tests and not to what the machine lacks: never a failure."""
        return self.about_the_user or (self.root_only and os.geteuid() != 0)


def _root() -> str | None:
    return None if os.geteuid() == 0 else "not root"


def _unprivileged() -> str | None:
    return None if os.geteuid() != 0 else "run as root"


def _command(*argv: str) -> str | None:
    """Return why `argv` does not succeed, or None."""
    program = shutil.which(argv[0])
    if program is None:
        return f"no {argv[0]} on the PATH"
    result = subprocess.run([program, *argv[1:]], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return None
    return f"`{' '.join(argv)}` failed with exit status {result.returncode}: {result.stderr.strip()[-200:]}"


def _strace() -> str | None:
    return _command("strace", "-f", "-o", os.devnull, "true")


def _c_compiler() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "empty.c")
        source.write_text("#include <linux/seccomp.h>\n#include <stdio.h>\nint main(void) { return 0; }\n")
        return _command("gcc", "-o", str(source.with_suffix("")), str(source))


def _runtime(name: str) -> str | None:
    if shutil.which(name) is None:
        return f"no {name} on the PATH"
    with tempfile.TemporaryDirectory() as folder:
        bundle = container.write_bundle(Path(folder), container.configuration(["/bin/true"]))
        result = container.run(bundle, name)
    return None if result.returncode == 0 else f"{name} does not run a container: {result.stderr.strip()[-300:]}"


def _runc() -> str | None:
    return _runtime("runc")


def _crun() -> str | None:
    return _runtime("crun")


def _bubblewrap() -> str | None:
    return _command("bwrap", "--ro-bind", "/", "/", "--unshare-pid", "true")


def _systemd() -> str | None:
    return _command("systemd-analyze", "syscall-filter", "@default")


def _file(path: Path) -> Callable[[], str | None]:
    return lambda: None if path.is_file() else f"no {path}"


def _programs() -> str | None:
    path = "/usr/bin:/bin"
    lacking = [name for name in programs.COMMANDS if shutil.which(name, path=path) is None]
    return f"not in {path}: {', '.join(lacking)}" if lacking else None


def _mount() -> str | None:
    return _command("unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt")


def _package_building() -> str | None:
    lacking = [name for name in ("hatchling", "pip") if importlib.util.find_spec(name) is None]
    return f"no {' and no '.join(lacking)} in this Python" if lacking else None


def _user_namespace() -> str | None:
    return _command("unshare", "--user", "--map-root-user", "true")


def _sysfs() -> str | None:
    return None if os.path.ismount("/sys") else "nothing is mounted on /sys"


def _i386() -> str | None:
    if platform.machine() != "x86_64":
        return f"not x86-64 but {platform.machine()}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            return _command(str(i386.write_program(Path(folder, "i386"), [])))
        except OSError as error:
            return f"a 32-bit program does not start: {error}"


def _zsh() -> str | None:
    return _command("zsh", "-f", "-c", "autoload -Uz compinit && compinit -D")


def _fish() -> str | None:
    return _command("fish", "--no-config", "-c", "complete -C true")


def _chromium() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        page.write_text("<title></title><script>document.title = 'it runs'</script>")
        try:
            return None if "<title>it runs</title>" in browser.dump(page) else "chromium runs no script"
        except (OSError, subprocess.SubprocessError) as error:
            return f"chromium does not show a page: {error}"


def _libseccomp() -> str | None:
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        return str(error)
    return None


def _listener() -> str | None:
    """Whether a process may install a filter with a listener: tried in a child, which ends with it."""
    number = {"x86_64": 317, "aarch64": 277}.get(platform.machine())
    if number is None:
        return f"unknown architecture {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    allow = ctypes.create_string_buffer(
        struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000)
    )  # BPF_RET | BPF_K, SECCOMP_RET_ALLOW
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))  # struct sock_fprog
    child = os.fork()
    if child == 0:
        libc.prctl(
            38, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)
        )  # PR_SET_NO_NEW_PRIVS
        # SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER: a descriptor, or -1 and errno
        result = libc.syscall(ctypes.c_long(number), ctypes.c_ulong(1), ctypes.c_ulong(8), program)
        os._exit(0 if result >= 0 else ctypes.get_errno() & 0xFF)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == 0:
        return None
    return (
        f"seccomp() refuses a listener: {os.strerror(status)}" if status > 0 else f"seccomp() ends in signal {-status}"
    )


def _capability(name: str, bit: int) -> str | None:
    effective = int(Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0], 16)
    return None if effective >> bit & 1 else f"no {name}"


def _audit() -> str | None:
    """Whether the record of a child comes to a member of the audit messages' multicast group."""
    if platform.machine() not in logged.SECCOMP:
        return f"unknown architecture {platform.machine()}"
    reason = _capability("CAP_AUDIT_READ", 37) or _capability("CAP_AUDIT_CONTROL", 30)
    if reason is not None:
        return reason
    for namespace, inode in (("pid", 0xEFFFFFFC), ("user", 0xEFFFFFFD)):  # include/linux/proc_ns.h
        if Path("/proc/self/ns", namespace).stat().st_ino != inode:
            return f"not the initial {namespace} namespace: records have other numbers than this process sees"
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9) as group:  # NETLINK_AUDIT
            group.setsockopt(socket.SOL_SOCKET, 33, logged.ROOM)  # SO_RCVBUFFORCE
            group.bind((0, 1))  # AUDIT_NLGRP_READLOG
            group.settimeout(60)
            number = b" syscall=%d " % logged.run().number
            while number not in group.recv(65536):
                pass
    except OSError as error:
        return f"no audit record of a child: {error}"
    return None


def _bpf() -> str | None:
    """Whether the kernel takes a program for a raw tracepoint that does nothing."""
    number = {"x86_64": 321, "aarch64": 280}.get(platform.machine())
    if number is None:
        return f"unknown architecture {platform.machine()}"
    libc = ctypes.CDLL(None, use_errno=True)
    code = ctypes.create_string_buffer(struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0))
    text = ctypes.create_string_buffer(b"GPL")
    # BPF_PROG_LOAD of a BPF_PROG_TYPE_RAW_TRACEPOINT with two instructions
    attributes = struct.pack("=IIQQ", 17, 2, ctypes.addressof(code), ctypes.addressof(text)).ljust(128, b"\0")
    descriptor = libc.syscall(
        ctypes.c_long(number), ctypes.c_ulong(5), ctypes.create_string_buffer(attributes, 128), ctypes.c_ulong(128)
    )
    if descriptor < 0:
        return f"bpf() refuses a program: {os.strerror(ctypes.get_errno())}"
    os.close(descriptor)
    return None


def _kmsg() -> str | None:
    try:
        found = Path("/dev/kmsg").lstat()
        with open("/dev/kmsg", "rb+", buffering=0):
            pass
    except OSError as error:
        return str(error)
    return None if stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 11) else "/dev/kmsg is something else"


MECHANISMS = {
    mechanism.name: mechanism
    for mechanism in (
        Mechanism("root", _root, about_the_user=True),
        Mechanism("unprivileged", _unprivileged, about_the_user=True),
        Mechanism(
            "listener", _listener, remedy="needs Linux 5.5 and no outer listener or filter that denies seccomp()"
        ),
        Mechanism("strace", _strace, remedy="install strace, permit ptrace"),
        Mechanism("c-compiler", _c_compiler, remedy="install gcc, libc6-dev and linux-libc-dev"),
        Mechanism("runc", _runc, remedy="install runc", root_only=True),
        Mechanism("crun", _crun, remedy="install crun", root_only=True),
        Mechanism("bubblewrap", _bubblewrap, remedy="install bubblewrap", root_only=True),
        Mechanism("systemd", _systemd, remedy="install systemd"),
        Mechanism("container-profile", _file(CONTAINER_PROFILE), remedy="install golang-github-containers-common"),
        Mechanism("dockers-profile", _file(DOCKERS_PROFILE), remedy="it is in golang-github-docker-docker-dev"),
        Mechanism(
            "programs",
            _programs,
            remedy="install python3, bash, curl, git, sqlite3, runc, containernetworking-plugins, ripgrep, memcached",
        ),
        Mechanism("mount", _mount, remedy="needs CAP_SYS_ADMIN, util-linux and mount", root_only=True),
        Mechanism("package-building", _package_building, remedy="install them"),
        Mechanism("user-namespace", _user_namespace, remedy="needs util-linux, and is not there in a chroot"),
        Mechanism("sysfs", _sysfs, remedy="mount -t sysfs sysfs /sys"),
        Mechanism("i386", _i386, remedy="needs a kernel with 32-bit emulation"),
        Mechanism("chromium", _chromium, remedy="install chromium"),
        Mechanism("jq", lambda: _command("jq", "--version"), remedy="install jq"),
        Mechanism("zsh", _zsh, remedy="install zsh"),
        Mechanism("fish", _fish, remedy="install fish"),
        Mechanism("kernel-headers", _file(Path("/usr/include/linux/seccomp.h")), remedy="install linux-libc-dev"),
        Mechanism("libseccomp", _libseccomp, remedy="install libseccomp2"),
        Mechanism(
            "audit",
            _audit,
            remedy="needs CAP_AUDIT_READ, CAP_AUDIT_CONTROL and the initial network, user and pid namespaces",
            root_only=True,
        ),
        Mechanism("bpf", _bpf, remedy="needs Linux 5.5, CAP_BPF and CAP_PERFMON", root_only=True),
        Mechanism("cgroup", cgroups.missing, remedy="mount -t cgroup2 none /sys/fs/cgroup/unified", root_only=True),
        Mechanism("kmsg", _kmsg, remedy="needs the device /dev/kmsg, and CAP_SYSLOG", root_only=True),
    )
}


@functools.cache
def missing(name: str) -> str | None:
    """Return why the mechanism `name` cannot be used here, with the remedy, or None. KeyError where it is unknown."""
    mechanism = MECHANISMS[name]
    reason = mechanism.missing()
    if reason is None or not mechanism.remedy:
        return reason
    return f"{reason} ({mechanism.remedy})"
