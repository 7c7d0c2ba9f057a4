"""Profiles with names added and taken away: what changes are lines, and all else stays."""

import difflib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_seccomp.profile import edited
from pytest_seccomp.profile.spans import Span, spans

HAND_WRITTEN = """\
{
    "defaultAction" : "SCMP_ACT_ERRNO",
    "x-owner": {"team": "shelf", "why": "caf\\u00e9"},
    "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
            "args": [ {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"} ]},
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}},
        {
            "comment": "what the tests call",
            "names": [
                "openat",
                "read"
            ],
            "action": "SCMP_ACT_ALLOW",
            "includes": {}
        }
    ]
}
"""


def changes(old: str, new: str) -> list[str]:
    """The lines of a diff."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[:2] not in ("--", "++", "@@")]


def test_names_are_sorted_in_and_show_as_lines() -> None:
    new = edited.with_added(HAND_WRITTEN, ["connect", "pread64", "openat"], [])
    assert changes(HAND_WRITTEN, new) == ['+                "connect",', '+                "pread64",']
    assert edited.with_added(new, ["connect", "pread64"], []) == new


def test_a_list_in_a_line_is_laid_out_in_lines_and_the_rest_stays() -> None:
    new = edited.with_added(HAND_WRITTEN, [], ["SCMP_ARCH_X86"])
    assert changes(HAND_WRITTEN, new) == [
        '-    "architectures": ["SCMP_ARCH_X86_64"],',
        '+    "architectures": [',
        '+        "SCMP_ARCH_X86_64",',
        '+        "SCMP_ARCH_X86"',
        "+    ],",
    ]


@pytest.mark.parametrize(
    ("syscalls", "after"),
    [
        ("", '"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]'),
        (', "syscalls": null', '"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]'),
        (', "syscalls": []', '"syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]'),
        (
            ', "syscalls": [{"name": "bind", "action": "SCMP_ACT_ALLOW"}]',
            '"syscalls": [{"name": "bind", "action": ALLOW}, {"names": ["read"], "action": ALLOW}]',
        ),
    ],
)
@pytest.mark.parametrize("newline", ["", "\n", "\r\n"])
def test_an_entry_is_made_where_none_can_take_names(syscalls: str, after: str, newline: str) -> None:
    text = f'{{{newline}"defaultAction": "SCMP_ACT_KILL"{syscalls}{newline}}}'
    new = edited.with_added(text, ["read"], ["SCMP_ARCH_X86"])
    assert json.loads(new) == json.loads(
        f'{{"defaultAction": "SCMP_ACT_KILL", {after}, "architectures": ["SCMP_ARCH_X86"]}}'.replace(
            ": ALLOW", ': "SCMP_ACT_ALLOW"'
        )
    )
    assert ("\r\n" in new) == (newline == "\r\n")


def test_a_text_in_one_line_is_laid_out() -> None:
    new = edited.with_added('{"syscalls":[{"names":["b"],"action":"SCMP_ACT_ALLOW"}]}', ["a"], [])
    assert new.splitlines()[3:6] == ['      "names": [', '        "a",', '        "b"']


def test_what_is_not_sorted_is_not_moved() -> None:
    text = edited.with_added(edited.new([]), ["a", "b"], []).replace('"a"', '"write"').replace('"b"', '"read"')
    new = json.loads(edited.with_added(text, ["close", "zzz", "socket"], []))
    assert new["syscalls"][0]["names"] == ["close", "socket", "write", "read", "zzz"]


def test_a_whole_config_of_a_container_is_edited_inside() -> None:
    text = json.dumps({"ociVersion": "1.0", "linux": {"seccomp": json.loads(HAND_WRITTEN)}, "mounts": []}, indent=4)
    new = edited.with_added(text, ["close"], [])
    assert [line.strip() for line in changes(text, new)] == ['+                        "close",']


def test_names_go_and_with_the_last_their_entry() -> None:
    new = edited.without(HAND_WRITTEN, lambda name: name in ("clone", "bpf", "openat"))
    assert changes(HAND_WRITTEN, new) == [
        '-        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",',
        '-            "args": [ {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"} ]},',
        '-                "openat",',
    ]
    assert json.loads(new)["syscalls"][0]["names"] == ["bpf"]  # on some hosts only
    assert json.loads(edited.without(HAND_WRITTEN, lambda _name: True))["syscalls"] == [
        {"names": ["bpf"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_BPF"]}}
    ]


NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=5)
ENTRIES = st.lists(
    st.fixed_dictionaries(
        {"names": NAMES, "action": st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_KILL"])},
        optional={"args": st.just([{"index": 0}]), "includes": st.sampled_from([{}, {"arches": ["amd64"]}])},
    ),
    max_size=5,
)


@given(ENTRIES, st.sets(st.sampled_from("abcdefghij"), min_size=1), st.sampled_from([None, 1, 2, "\t"]))
def test_adding_and_taking_away_is_what_it_says(entries: list[Any], names: set[str], indent: int | str | None) -> None:
    text = json.dumps({"defaultAction": "SCMP_ACT_KILL", "syscalls": entries, "z": [1, {}]}, indent=indent)
    added = json.loads(edited.with_added(text, names, []))
    takes = (e for e in entries if e["action"] == edited.ALLOW and "args" not in e and not e.get("includes"))
    plain = next(takes, None)
    if plain is None:
        assert added["syscalls"] == [*entries, {"names": sorted(names), "action": edited.ALLOW}]
    else:
        expected = {**plain, "names": added["syscalls"][entries.index(plain)]["names"]}
        assert set(expected["names"]) == {*plain["names"], *names}
        assert [name for name in expected["names"] if name in plain["names"]] == plain["names"]
        assert added["syscalls"] == [expected if e is plain else e for e in entries]
    left = json.loads(edited.without(text, lambda name: name in names))
    kept = []
    for entry in entries:
        if entry["action"] == edited.ALLOW and not entry.get("includes"):
            entry = {**entry, "names": [name for name in entry["names"] if name not in names]}
        if entry["names"]:
            kept.append(entry)
    assert left == {"defaultAction": "SCMP_ACT_KILL", "syscalls": kept, "z": [1, {}]}


SCALARS = st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from([None, 2]))
def test_spans_are_where_the_values_stand(value: Any, indent: int | None) -> None:
    text = f" {json.dumps(value, indent=indent)} "

    def check(span: Span) -> None:
        assert json.loads(text[span.begin : span.end]) == span.value
        for inner in (*span.items, *span.members.values()):
            check(inner)

    found = spans(text)
    assert found.value == value
    check(found)


def test_tabs_stay_tabs() -> None:
    document = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["b", "d"], "action": edited.ALLOW}]}
    text = json.dumps(document, indent="\t")
    assert changes(text, edited.with_added(text, ["c"], [])) == ['+\t\t\t\t"c",']
