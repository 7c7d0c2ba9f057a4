"""What the user asked for, from the command line and the ini file."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.gate.allowed import Allowed
from pytest_seccomp.gate.findings import UPDATE
from pytest_seccomp.gate.updating import Target
from pytest_seccomp.plugin.options import path_of
from pytest_seccomp.trace.paths import real_path, tests_path

OPTION, COLLECTION = "--seccomp-profile", "--seccomp-profile-collection"
INI, COLLECTION_INI = "seccomp_profile", "seccomp_profile_collection"


@dataclass(slots=True, frozen=True)
class ProfileOptions:
    """The options of the gate, checked."""

    path: Path
    """Absolute."""
    shown: str
    """FILE as the user has named it."""
    updates: bool
    """Whether calls that it does not allow are added to it, and fail nothing."""
    collection: bool
    """Whether what loading conftests and collecting calls is judged, too."""
    origin: str = f"{OPTION}="
    """What has named FILE, as it is written before that."""

    @classmethod
    def of(cls, config: pytest.Config) -> "ProfileOptions | None":
        """From the options that are known before conftests are loaded; None where nothing is judged. Raises
        SeccompError."""
        namespace = config.known_args_namespace
        given, by_ini = namespace.seccomp_profile, config.getini(INI)
        updates = bool(namespace.seccomp_update_profile)
        if given is None and not by_ini:
            if updates or namespace.seccomp_profile_collection:
                option = UPDATE if updates else COLLECTION
                raise SeccompError(f"{option} needs {OPTION}=FILE, or the ini option {INI}, to say which profile")
            return None
        if given is not None:
            named = path_of(given, OPTION)
            path = Path(os.path.abspath(named))
        else:
            named = os.path.expanduser(by_ini)
            path = (config.inipath.parent if config.inipath is not None else config.rootpath) / named
        collection = bool(namespace.seccomp_profile_collection or _collection(config))
        return cls(path, named, updates, collection, f"{OPTION}=" if given is not None else f"ini option {INI} = ")

    def check(self, config: pytest.Config) -> Allowed | None:
        """What is allowed; None where the file is still to be made. Refuses what cannot be judged by, or updated, and
        one file for two things: raises SeccompError."""
        namespace = config.known_args_namespace
        mine = real_path(self.path)
        results = {"--seccomp-trace": namespace.seccomp_trace, "--seccomp-deny-log": namespace.seccomp_deny_log}
        for option, value in results.items():
            if value:
                theirs = real_path(Path(path_of(value, option)))
                if mine in (theirs, real_path(tests_path(theirs))):
                    clash = f"{self.origin}{self.shown} is a file of {option}={value}"
                    raise SeccompError(f"{clash}: name another one for either")
        return None if self.updates and Target.check(self.path).is_new else self.read()

    def read(self) -> Allowed:
        """What is allowed. Raises SeccompError."""
        if not self.path.exists():
            raise SeccompError(f"{self.origin}{self.shown}: there is no such file: {UPDATE} makes it")
        return Allowed.read(self.path)


def _collection(config: pytest.Config) -> object:
    try:
        return config.getini(COLLECTION_INI)
    except (TypeError, ValueError, pytest.UsageError) as error:  # by version of pytest, and by the kind of file
        raise SeccompError(f"ini option {COLLECTION_INI}: {error}: write true or false") from error
