"""The formats that are always there, each in a file of its own."""

from collections.abc import Iterable

from pytest_seccomp.formats import bpf, kubernetes, minijail, names, nucleus, oci, systemd
from pytest_seccomp.formats.format import Format
from pytest_seccomp.formats.hooks import hookimpl


@hookimpl
def seccomp_profile_formats() -> Iterable[Format]:
    """In the order in which they are told of."""
    return [module.FORMAT for module in (oci, nucleus, systemd, kubernetes, minijail, bpf, names)]
