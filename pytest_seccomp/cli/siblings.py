"""Calls that do the same, of which a C library makes one: who asks for one may mean another."""

from collections.abc import Iterable

_FAMILIES = """
access faccessat faccessat2
accept accept4
chmod fchmodat fchmodat2
chown lchown fchownat chown32 lchown32
creat open openat openat2
dup2 dup3
epoll_create epoll_create1
epoll_wait epoll_pwait epoll_pwait2
eventfd eventfd2
execve execveat
exit exit_group
fcntl fcntl64
fork vfork clone clone3
getdents getdents64
getrlimit ugetrlimit setrlimit prlimit64
gettimeofday time clock_gettime clock_gettime64
inotify_init inotify_init1
kill tkill tgkill
link linkat
lseek _llseek
mkdir mkdirat
mknod mknodat
mmap mmap2
nanosleep clock_nanosleep clock_nanosleep_time64
pipe pipe2
poll ppoll ppoll_time64
readlink readlinkat
recv recvfrom
rename renameat renameat2
rmdir unlink unlinkat
select _newselect pselect6 pselect6_time64
send sendto
sigaction rt_sigaction
signalfd signalfd4
sigprocmask rt_sigprocmask
stat lstat fstat stat64 lstat64 fstat64 newfstatat fstatat64 statx
symlink symlinkat
utime utimes futimesat utimensat utimensat_time64
waitpid wait4 waitid
"""


def siblings(name: str) -> Iterable[str]:
    """The names of the calls that can stand in for a call, without its own; none where there are none."""
    families = (line.split() for line in _FAMILIES.strip().splitlines())
    return [other for family in families if name in family for other in family if other != name]
