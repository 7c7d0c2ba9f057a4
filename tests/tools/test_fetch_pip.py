"""Getting pip without pip: from an index of files on this machine."""

import functools
import hashlib
import http.server
import ssl
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path

import fetch_pip
import pytest

CONTENT = {"pip-24.0-py3-none-any.whl": b"twenty-four", "pip-9.0.3-py3-none-any.whl": b"nine"}


def link(name: str, content: bytes, attributes: str = "") -> str:
    """Return a link of an index's page, with the digest of `content`."""
    return f'<a href="../files/{name}#sha256={hashlib.sha256(content).hexdigest()}" {attributes}>{name}</a><br/>'


class FileIndex:
    """A package index in a folder, with files of pip in CONTENT."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.target = folder / "target"
        self.target.mkdir()
        (folder / "files").mkdir()
        (folder / "pip").mkdir()
        for name, content in CONTENT.items():
            (folder / "files" / name).write_bytes(content)

    def offer(self, *links: str) -> None:
        """Write the page of pip."""
        page = "<!DOCTYPE html><html><body>" + "".join(links) + "</body></html>"
        (self.folder / "pip/index.html").write_text(page)

    def fetch(self, **environment: str) -> Path:
        """Fetch pip as a user whose environment says nothing but where the index is."""
        index = {"PIP_INDEX_URL": self.folder.as_uri(), "PIP_CONFIG_FILE": "/dev/null"}
        return fetch_pip.fetch(self.target, {**index, **environment})


@pytest.fixture
def index(tmp_path: Path) -> FileIndex:
    """An index that offers what there is."""
    made = FileIndex(tmp_path)
    made.offer(*(link(name, content) for name, content in CONTENT.items()))
    return made


def test_the_newest_is_taken(index: FileIndex) -> None:
    """By number: 24 is newer than 9."""
    path = index.fetch()
    assert path == index.target / "pip-24.0-py3-none-any.whl"
    assert path.read_bytes() == b"twenty-four"


@pytest.mark.parametrize(
    "newer",
    [
        link("pip-25.0-py3-none-any.whl", b"", 'data-yanked="broken"'),
        link("pip-25.0-py3-none-any.whl", b"", f'data-requires-python="&gt;=3.{sys.version_info[1] + 1}"'),
        link("pip-25.0b1-py3-none-any.whl", b""),
        link("pip-25.0.tar.gz", b""),
        '<a href="../files/pip-25.0-py3-none-any.whl">no digest</a>',
        '<a href="../files/pip-25.0-py3-none-any.whl#md5=d41d8cd98f00b204e9800998ecf8427e">a weak digest</a>',
    ],
    ids=["yanked", "for a newer Python", "no final version", "no wheel", "no digest", "weak digest"],
)
def test_what_must_not_be_taken(index: FileIndex, newer: str) -> None:
    index.offer(newer, *(link(name, content) for name, content in CONTENT.items()))
    assert index.fetch().name == "pip-24.0-py3-none-any.whl"


def test_a_wrong_digest_is_refused(index: FileIndex) -> None:
    index.offer(link("pip-24.0-py3-none-any.whl", b"something else"))
    with pytest.raises(fetch_pip.FetchError, match=r"pip-24\.0-py3-none-any\.whl .* sha256"):
        index.fetch()
    assert list(index.target.iterdir()) == []


def test_the_extra_index_helps_out(index: FileIndex, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty").as_uri()
    path = index.fetch(PIP_INDEX_URL=empty, PIP_EXTRA_INDEX_URL=index.folder.as_uri())
    assert path.name == "pip-24.0-py3-none-any.whl"


def test_without_any_the_error_says_where_and_why(index: FileIndex) -> None:
    index.offer()
    with pytest.raises(fetch_pip.FetchError, match=f"^{index.folder.as_uri()}: no pip wheel"):
        index.fetch()


@pytest.fixture
def served(index: FileIndex) -> Iterator[str]:
    """The address at which a server on this machine has the index's files."""
    handler = functools.partial(QuietHandler, directory=str(index.folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files; a folder has the page that an index has there."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_without_authorities_only_a_wheel_that_is_known(
    index: FileIndex, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without ca-certificates cannot know who answers: neither the newest is taken nor the index's digest."""
    nothing = types.SimpleNamespace(cafile=None, capath=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(fetch_pip.FetchError, match="no pip wheel"):
        index.fetch(PIP_INDEX_URL=served)
    (index.folder / "files" / fetch_pip.KNOWN_WHEEL).write_bytes(b"forged")
    index.offer(link(fetch_pip.KNOWN_WHEEL, b"forged"))
    with pytest.raises(fetch_pip.FetchError, match="does not have the sha256"):
        index.fetch(PIP_INDEX_URL=served)
    monkeypatch.setattr(fetch_pip, "KNOWN_SHA256", hashlib.sha256(b"forged").hexdigest())
    assert index.fetch(PIP_INDEX_URL=served).read_bytes() == b"forged"
    index.offer(*(link(name, content) for name, content in CONTENT.items()))
    assert index.fetch().name == "pip-24.0-py3-none-any.whl", "files of this machine need no authority"


def test_a_password_is_not_shown() -> None:
    assert fetch_pip.without_password("https://me:secret@index.example/simple") == "https://index.example/simple"


def test_configuration_files_and_environment(tmp_path: Path) -> None:
    """The user's file wins over the general one, the environment over both."""
    general, home = tmp_path / "general", tmp_path / "home"
    for folder in (general / "pip", home / ".config/pip"):
        folder.mkdir(parents=True)
    (general / "pip/pip.conf").write_text("[global]\nindex-url = https://general.example\nretries = 7\n")
    (home / ".config/pip/pip.conf").write_text("[global]\nindex_url = https://user.example\nproxy = http://user:1\n")
    environment = {"HOME": str(home), "XDG_CONFIG_DIRS": str(general), "PIP_PROXY": "http://environment:2"}
    settings = fetch_pip.configuration(environment)
    assert settings["index-url"] == "https://user.example"
    assert settings["retries"] == "7"
    assert settings["proxy"] == "http://environment:2"
