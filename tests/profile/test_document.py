"""JSON from outside: what is wrong, and where."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_seccomp.errors import SeccompError
from pytest_seccomp.profile.document import Node, read


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "profile.json"


def node(value: Any, place: str = "a.b[1]") -> Node:
    return Node(Path("p.json"), place, value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "{path}: line 1, column 1: no JSON (Expecting value)"),
        (b'{\n"a": 1,}', "{path}: line 2, column "),
        (b"\xff{}", "{path}: no JSON (not UTF-8)"),
        (b"[" * 100_000, "{path}: no JSON (nested too deeply)"),
        (b'{"a": {"b": 1, "b": 2}}', '{path}: an object has the member "b" twice'),
        (b"1" * 5000, "{path}: no JSON that can be read (a number of thousands of digits)"),
    ],
)
def test_what_is_no_json_is_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(SeccompError) as caught:
        read(path)
    assert str(caught.value).startswith(message.format(path=path))


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    with pytest.raises(SeccompError, match=r"cannot read .*/profile\.json: No such file or directory \(ENOENT\)"):
        read(path)
    with pytest.raises(SeccompError, match=r"^/dev/null is a device, which cannot be read as a profile: name a file$"):
        read(Path("/dev/null"))
    with pytest.raises(SeccompError, match="is a directory, which cannot be read"):
        read(path.parent)


def test_members_have_places_and_nulls_are_none(path: Path) -> None:
    path.write_text(json.dumps({"a": {"b": [0, {"c": "x"}], "none": None}}))
    warnings: list[str] = []
    document = read(path)
    a = document.members(("a",), warnings)["a"]
    (b,) = a.members(("b", "none"), warnings).values()
    _, second = b.items()
    c = second.members(("c",), warnings)["c"]
    assert (document.place, a.place, b.place, c.place) == ("", "a", "a.b", "a.b[1].c")
    assert (c.text(), warnings) == ("x", [])


def test_an_unknown_member_becomes_a_warning_with_the_nearest_known() -> None:
    warnings: list[str] = []
    assert node({"nmaes": [], "zzz": 1}).members(("names", "action"), warnings) == {}
    assert warnings == [
        "p.json: a.b[1].nmaes: unknown member, not looked at: did you mean names?",
        "p.json: a.b[1].zzz: unknown member, not looked at",
    ]


def as_list(one: Node) -> object:
    return list(one.items())


def as_members(one: Node) -> object:
    return one.members((), [])


def up_to_nine(one: Node) -> object:
    return one.natural(9)


def of_mine(one: Node) -> object:
    return one.chosen({"seven": 7}, "number of mine")


@pytest.mark.parametrize(
    ("take", "value", "reason"),
    [
        (Node.text, 1, "1 is no text"),
        (Node.text, "", "is empty"),
        (as_list, {"a": 1}, '{"a": 1} is no list'),
        (as_members, ["x" * 100], '["' + "x" * 57 + "… is no object"),
        (up_to_nine, -1, "-1 is no number from 0 to 9"),
        (up_to_nine, 10, "10 is no number from 0 to 9"),
        (up_to_nine, True, "true is no number from 0 to 9"),
        (up_to_nine, 1.0, "1.0 is no number from 0 to 9"),
        (of_mine, "sevn", '"sevn" is no number of mine: did you mean seven?'),
        (of_mine, "?", '"?" is no number of mine'),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_place(
    take: Callable[[Node], object], value: Any, reason: str
) -> None:
    with pytest.raises(SeccompError) as caught:
        take(node(value))
    assert str(caught.value) == f"p.json: a.b[1]: {reason}"


def test_right_values_are_taken() -> None:
    assert node(9).natural(9) == 9
    assert node(0).natural(9) == 0
    assert node("seven").chosen({"seven": 7}, "number") == 7


def test_a_missing_member_is_named_by_the_object_that_lacks_it() -> None:
    with pytest.raises(SeccompError, match=r'^p\.json: a\.b\[1\]: "action" is missing$'):
        node({}).required({}, "action")
