"""`show --html`: the page, looked at in a browser."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import browser
import pytest
from commands import Command, Trace
from traces import X86_64, run, spooled_other, spooled_test, write_spool

from pytest_seccomp.trace.store import Destination, write_trace

READ, SOCKET, GETPID, MOUNT = 0, 41, 39, 165
TESTS = 5000
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)><!--"

LOOK = f'<pre id="seen"></pre><script>{Path(browser.__file__).with_name("look.js").read_text()}</script></body>'


def denial(nodeid: str, syscall: int, name: str, *, expected: bool) -> str:
    """A line of a deny log."""
    members = {"nodeid": nodeid, "phase": "call", "rerun": 0, "syscall": syscall, "name": name, "arch": "x86_64"}
    members |= {"count": 2, "action": "errno", "errno": "EPERM", "pid": 7, "comm": "<b>curl</b>", "exe": None}
    return json.dumps({**members, "args": None, "source": "audit", "expected": expected}) + "\n"


@pytest.mark.needs("chromium")
def test_in_a_browser(tmp_path: Path, command: Command) -> None:
    """5,000 tests, one of which has a name that would like to be a part of the page."""
    tests = [
        spooled_test(
            f"test_it.py::test_number_{index}[x]",
            [[X86_64, GETPID, {"setup": 2, "call": 1000}], [X86_64, READ, {"call": 5}]],
        )
        for index in range(TESTS - 1)
    ]
    tests.append(spooled_test(HOSTILE, [[X86_64, SOCKET, {"call": 1}]], outcome="failed"))
    spool = write_spool(tmp_path / "spool", [*tests, spooled_other("collect", {(X86_64, READ): 10})])
    trace = write_trace(Destination.check(tmp_path / "out.ndjson"), run(), [spool]).path
    denied = tmp_path / "denied.ndjson"
    denied.write_text(
        denial("test_it.py::test_number_3[x]", SOCKET, "socket", expected=True)
        + denial(HOSTILE, MOUNT, "mount", expected=False)
    )
    page = tmp_path / "page.html"
    result = command("show", "--html", page, "--denials", denied, trace)
    assert (result.status, result.err) == (0, "")
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=(?![\"']?data:)|https?://|@import|url\(", text.partition('id="tests"')[0])

    page.write_text(text.replace("</body>", LOOK), encoding="utf-8")
    found = re.search(r'<pre id="seen">(.*?)</pre>', browser.dump(page), re.DOTALL)
    assert found is not None
    seen: dict[str, Any] = json.loads(unescape(found[1]))

    assert (seen["title"], seen["state"]) == ("out.ndjson: system calls", "complete")
    assert (seen["requests"], seen["images"]) == ([], 0)
    assert seen["figures"].startswith("1 run, 5,000 tests, ")
    assert seen["all"] == "5,001 of 5,001 rows, 4 of 4 calls"
    count = 1002 * (TESTS - 1)
    assert seen["calls"][:3] == [["4 calls"], ["getpid", f"{count:,}", "4,999", ""], ["read", "25,005", "4,999", "10"]]
    assert seen["getpid"] != seen["ground"] == seen["socket"]
    assert seen["found"] == "1 of 5,001 rows, 4 of 4 calls"
    assert seen["test"] == [
        ["test_it.py::test_number_4711[x]"],
        ["getpid", "2", "1,000", "", "", "1,002"],
        ["read", "", "5", "", "", "5"],
    ]
    assert seen["makers"] == "2 of 5,001 rows, 1 of 4 calls"  # it was denied to one of them
    assert seen["call"] == [["socket"], [HOSTILE, "1"]]
    assert seen["denials"] == [
        ["", "socket", "errno: EPERM", "2", "<b>curl</b>[7]", "test_it.py::test_number_3[x]", "call, expected"]
    ]
    assert seen["bottom"] is True
    assert seen["first"] == ["test_it.py::test_number_0[x]"]


def test_what_a_page_says_of_an_incomplete_trace(command: Command, trace: Trace, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    result = command("show", trace(complete=False), "--html", page, "--json")
    assert result.status == 0
    assert json.loads(result.out)["complete"] is False
    (text,) = re.findall(r'id="trace">(.*?)</script>', page.read_text())
    members = json.loads(text)
    assert members["complete"] is False
    assert members["reasons"] == ["gw0: the recorder was killed"]
    assert members["denials"] is None
    assert [path.name for path in page.parent.iterdir()] == ["page.html"]


def test_what_cannot_become_a_page(command: Command, trace: Trace, tmp_path: Path) -> None:
    path = trace()
    notes, page = tmp_path / "notes.txt", tmp_path / "page.html"
    notes.write_text("notes")
    for arguments, words in (
        (["--html", path], "it is what is read: name another file"),
        (["--html", notes], "there is a file that is not a page: name another file"),
        (["--html", tmp_path], "it is a directory: name a file"),
        (["--html", page, "--denials", notes], f"{notes}:1: "),
        (["--denials", notes], "--denials is for a page: name one with --html"),
    ):
        result = command("show", path, *arguments)
        assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
        assert words in result.err
    assert not page.exists()
    path.with_suffix(".tests.ndjson").unlink()
    assert "its tests file is not beside it" in command("show", path, "--html", page).err
    assert not page.exists()
