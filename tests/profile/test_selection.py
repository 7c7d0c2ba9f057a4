"""On which hosts an entry of a docker profile holds."""

from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.linux import architecture
from pytest_seccomp.linux.capabilities import NAMES
from pytest_seccomp.linux.process import CAP_SYS_ADMIN
from pytest_seccomp.profile.document import Node
from pytest_seccomp.profile.selection import Host, Selection

HOST = Host(architecture.X86_64, (6, 18), frozenset({"CAP_BPF", "CAP_KILL"}))


def selection(value: Any) -> tuple[Selection, list[str]]:
    warnings: list[str] = []
    return Selection.from_node(Node(Path("p.json"), "includes", value), warnings), warnings


@pytest.mark.parametrize(
    ("value", "included", "excluded"),
    [
        ({}, True, False),
        ({"caps": [], "arches": None, "minKernel": ""}, True, False),
        ({"caps": ["CAP_BPF"]}, True, True),
        ({"caps": ["CAP_BPF", "CAP_CHOWN"]}, False, True),
        ({"caps": ["CAP_CHOWN"]}, False, False),
        ({"arches": ["arm", "amd64"]}, True, True),
        ({"arches": ["arm", "x32", "x86"]}, False, False),
        ({"minKernel": "6.18"}, True, True),
        ({"minKernel": "6.19"}, False, False),
        ({"minKernel": "5.100"}, True, True),
        ({"minKernel": "6.18", "caps": ["CAP_CHOWN"]}, False, True),
    ],
)
def test_all_must_be_true_to_include_and_one_thing_to_exclude(value: Any, included: bool, excluded: bool) -> None:
    found, warnings = selection(value)
    assert (found.includes(HOST), found.excludes(HOST), warnings) == (included, excluded, [])


@pytest.mark.parametrize(
    ("machine", "name"), [(architecture.AARCH64, "arm64"), (architecture.RISCV64, "riscv64")], ids=["arm64", "riscv64"]
)
def test_machines_have_docker_s_names(machine: architecture.Architecture, name: str) -> None:
    host = Host(machine, (6, 1), frozenset())
    assert selection({"arches": [name]})[0].includes(host)
    assert not selection({"arches": ["amd64"]})[0].includes(host)


def test_what_nobody_knows_is_a_warning_and_not_there() -> None:
    found, warnings = selection({"caps": ["CAP_SYS_ADMN"], "arches": ["x86_64", "zz"], "minkernel": "4.8"})
    assert not found.includes(HOST)
    assert warnings == [
        "p.json: includes.minkernel: unknown member, not looked at: did you mean minKernel?",
        'p.json: includes.caps[0]: "CAP_SYS_ADMN" is no capability: did you mean CAP_SYS_ADMIN?',
        'p.json: includes.arches[0]: "x86_64" is no architecture: did you mean x86?',
        'p.json: includes.arches[1]: "zz" is no architecture',
    ]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"minKernel": "4"}, 'p.json: includes.minKernel: "4" is no version of the kernel: write it as 4.8'),
        ({"minKernel": "4.8.1"}, 'p.json: includes.minKernel: "4.8.1" is no version of the kernel: write it as 4.8'),
        ({"minKernel": 4.8}, "p.json: includes.minKernel: 4.8 is no text"),
        ({"caps": "CAP_BPF"}, 'p.json: includes.caps: "CAP_BPF" is no list'),
        ({"arches": [1]}, "p.json: includes.arches[0]: 1 is no text"),
        ([], "p.json: includes: [] is no object"),
    ],
)
def test_a_malformed_selection_is_refused(value: Any, message: str) -> None:
    with pytest.raises(SeccompError) as caught:
        selection(value)
    assert str(caught.value) == message


def test_capabilities_stand_in_the_order_of_their_numbers() -> None:
    assert NAMES.index("CAP_SYS_ADMIN") == CAP_SYS_ADMIN
    # The newest of Linux 5.9 on; what a later version adds is only unknown
    assert NAMES.index("CAP_CHECKPOINT_RESTORE") == 40 == len(NAMES) - 1
