"""Reading files of a trace: the quick way understands what the plain way does, and errors name file and line."""

import errno
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traces import final_line, lines, run, spooled_test

from pytest_seccomp.errors import TraceError
from pytest_seccomp.trace import reading
from pytest_seccomp.trace.reading import LineParser, Remembered, os_text, parsed_lines, remedy
from pytest_seccomp.trace.records import Line, Record, Run, Untold

TEST = json.dumps(final_line(spooled_test("t.py::test", [[0xC000003E, 0, {"setup": 2, "call": 7}]]))) + "\n"
PARSER = LineParser()  # of all examples: what it remembers of one must not show in another


def plain(text: str) -> Line:
    return Line.from_object(json.loads(text))


def members(line: Line) -> tuple[Any, ...]:
    """All of a line, for comparing."""
    calls = [(call.key, call.name, counts.count, counts.phases) for call, counts in line.calls]
    return line.head, line.nodeid, calls, line.sandboxes


@given(lines)
def test_a_line_means_the_same_read_quickly_and_read_plainly(spooled: dict[str, Any]) -> None:
    text = json.dumps(final_line(spooled)) + "\n"
    line = PARSER(text)
    assert isinstance(line, Line)
    assert members(line) == members(plain(text))
    assert line.format() == text


@given(lines, st.sampled_from([(",", ":"), (" , ", " : ")]), st.booleans())
def test_a_line_of_another_shape_means_the_same(
    spooled: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    text = json.dumps(final_line(spooled), separators=separators, ensure_ascii=ascii_only)
    line = PARSER(text)
    assert isinstance(line, Line)
    assert members(line) == members(plain(text))


@given(st.data())
def test_a_damaged_line_is_refused_or_means_what_json_says(data: st.DataObject) -> None:
    """Cut a piece out of a sound line: the quick way must never accept what the plain way refuses."""
    text = json.dumps(final_line(data.draw(lines))) + "\n"
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(len(text), begin + 12)))
    damaged = text[:begin] + text[end:]
    try:
        expected = plain(damaged)
    except (ValueError, AttributeError, TypeError):
        with pytest.raises(ValueError):  # noqa: PT011  # which one does not matter
            PARSER(damaged)
    else:
        line = PARSER(damaged)
        assert isinstance(line, Line)
        assert members(line) == members(expected)


def test_each_kind_of_line_is_known() -> None:
    parser = LineParser()
    assert isinstance(parser(run().format()), Run)
    assert isinstance(parser(TEST), Line)
    assert isinstance(parser('{"kind": "trace", "complete": true, "syscalls": []}'), Untold)
    record = '{"syscall": 0, "name": null, "count": 9, "arch": "x86_64", "tests": 2, "collection": 4}'
    assert parser(record) == Record(0, None, 9, "x86_64", 2, 4)


def test_equal_calls_are_one_object() -> None:
    parser = LineParser()
    first, second = parser(TEST), parser(TEST.replace("::test", "::other"))
    collection = parser(
        '{"kind":"collect","worker":null,"backend":"notify","complete":true,"lost":0,'
        '"syscalls":[{"syscall":0,"name":"read","arch":"x86_64","count":1}]}'
    )
    assert isinstance(first, Line)
    assert isinstance(second, Line)
    assert isinstance(collection, Line)
    assert first.calls[0][0] is second.calls[0][0] is collection.calls[0][0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no JSON (Expecting property name enclosed in double quotes, column 2)"),
        ("[" * 100_000, "no JSON (nested too deeply)"),
        ("[1]", "no JSON object"),
        ('{"kind": "dream"}', 'unknown kind of line "dream"'),
        ('{"kind": 7}', '"kind" cannot be 7'),
        (TEST.replace('"count": 9', '"count": 8'), '"count" is 8, but its phases make 9'),
        (TEST.replace('"arch": ', '"ark": '), '"arch" is missing'),
        (TEST.replace('"nodeid": ', '"nodeid": [[['), "no JSON (Expecting ',' delimiter, column"),
        (TEST.replace('"call": 7', '"call": 7e0'), '"call" cannot be 7.0'),
    ],
)
def test_a_wrong_line_is_refused_with_file_and_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "wrong.ndjson"
    path.write_text(f"{TEST}\n{text}", encoding="ascii")
    with pytest.raises(TraceError, match=re.escape(f"{path}:3: {reason}")) as caught:
        list(parsed_lines(path, LineParser()))
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.ndjson"
    path.write_bytes(TEST.encode() + b'{"\xff"}\n')
    with pytest.raises(TraceError, match=re.escape(f"{path}:2: not UTF-8: ")):
        list(parsed_lines(path, LineParser()))


def test_a_line_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1024)
    with pytest.raises(TraceError, match="/dev/zero:1: longer than 1024 bytes"):
        list(parsed_lines(Path("/dev/zero"), LineParser()))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.ndjson"
    with pytest.raises(TraceError, match=re.escape(f"cannot read {path}: No such file or directory (ENOENT)")):
        list(parsed_lines(path, LineParser()))


def test_blank_lines_and_foreign_ends_of_lines_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "edited.ndjson"
    path.write_bytes(b"\r\n" + TEST.rstrip().encode() + b"\r\n\n" + TEST.rstrip().encode())
    parsed = [item for _, item in parsed_lines(path, LineParser())]
    assert [isinstance(item, Line) for item in parsed] == [True, True]


def test_what_is_remembered_is_bounded_and_parsed_once() -> None:
    parsed: list[str] = []

    def parse(text: str) -> int:
        parsed.append(text)
        return len(text)

    remembered = Remembered(parse, most=2)
    assert [remembered[text] for text in ("a", "bb", "a", "bb", "ccc", "a")] == [1, 2, 1, 2, 3, 1]
    assert parsed == ["a", "bb", "ccc", "a"]
    assert len(remembered) <= 2


def test_what_is_not_understood_is_not_remembered() -> None:
    remembered = Remembered(int)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            remembered["x"]
    assert not remembered


@pytest.mark.parametrize(
    ("error", "text", "what_to_do"),
    [
        (OSError(errno.ENOSPC, "No space left"), "No space left (ENOSPC)", "make room"),
        (OSError(errno.EMFILE, "Too many"), "Too many (EMFILE)", "let no test leave a low limit of open files behind"),
        (TimeoutError(), "TimeoutError", "let no test leave a timer behind"),
        (TimeoutError("too late"), "too late", "let no test leave a timer behind"),
    ],
)
def test_errors_have_words_and_a_remedy(error: OSError, text: str, what_to_do: str) -> None:
    """Also those that are none of the system: a signal handler that a test has left raises them anywhere."""
    assert os_text(error) == text
    assert remedy(error).startswith(what_to_do)
