"""Get a pip wheel from the package index that pip's own configuration names, with the standard library alone.

For a Python without ensurepip (Debian and Ubuntu ship it in python3-venv). Only what pip reads itself is read here:
PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_CERT, PIP_PROXY, PIP_CONFIG_FILE, pip.conf, and the usual proxy variables.
Sources: https://pip.pypa.io/en/stable/topics/configuration/
and https://packaging.python.org/specifications/simple-repository-api/
"""

import base64
import configparser
import hashlib
import os
import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

STANDARD_INDEX = "https://pypi.org/simple"
TIMEOUT = 60  # seconds without a byte from the index
WHEEL_NAME = re.compile(r"pip-(\d+(?:\.\d+)*)-py3-none-any\.whl")  # letters in a version mean that it is no final one

# Where the machine has no certificate authorities at all (no ca-certificates), the index cannot be authenticated. Then
# the content must prove itself: only this wheel is taken.
KNOWN_WHEEL = "pip-25.3-py3-none-any.whl"
KNOWN_SHA256 = "9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd"


class FetchError(Exception):
    """No pip wheel could be had: one line that says from where and why."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pip wheel that an index offers: `sha256` is None where the index gives none."""

    name: str
    url: str
    sha256: str | None
    version: tuple[int, ...]


class Links(HTMLParser):
    """The pip wheels on an index's page of the project pip, without yanked ones and those for a newer Python."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.candidates: list[Candidate] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the link of an <a> element."""
        attributes = dict(attrs)
        if tag != "a" or "data-yanked" in attributes:
            return
        url, _, fragment = urllib.parse.urljoin(self.page, attributes.get("href") or "").partition("#")
        name = urllib.parse.unquote(url.rpartition("/")[2])
        match = WHEEL_NAME.fullmatch(name)
        needs = re.findall(r">=\s*3\.(\d+)", attributes.get("data-requires-python") or "")
        if match is None or any(sys.version_info[:2] < (3, int(minor)) for minor in needs):
            return
        digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
        self.candidates.append(Candidate(name, url, digest, tuple(int(part) for part in match[1].split("."))))


def configuration(environment: dict[str, str]) -> dict[str, str]:
    """Return pip's settings by their long names: the files first to last, a later one winning, then the environment."""
    home = Path(environment.get("HOME") or "~").expanduser()
    files = [Path(folder) / "pip/pip.conf" for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    files += [Path("/etc/pip.conf"), home / ".pip/pip.conf", user]
    special = environment.get("PIP_CONFIG_FILE")
    files = [] if special == os.devnull else [*files, Path(special)] if special else files
    parser = configparser.RawConfigParser()
    parser.read(files, encoding="utf-8")
    settings: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    for key, value in environment.items():
        if key.startswith("PIP_") and value:
            settings[key.removeprefix("PIP_").lower().replace("_", "-")] = value
    return settings


class Index:
    """One connection to the indexes of a configuration."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.urls = [settings.get("index-url", STANDARD_INDEX), *settings.get("extra-index-url", "").split()]
        paths = ssl.get_default_verify_paths()
        certificates = Path(settings["cert"]) if "cert" in settings else None
        self.authenticated = any((certificates, paths.cafile, paths.capath and any(Path(paths.capath).iterdir())))
        context = ssl.create_default_context()
        if certificates is not None:
            context.load_verify_locations(**{"capath" if certificates.is_dir() else "cafile": str(certificates)})
        if not self.authenticated:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        proxy = settings.get("proxy")
        proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
        self.opener = urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=context))

    def read(self, url: str) -> bytes:
        """Return what is at `url`; the name and password in it are sent as pip sends them, to an authenticated host."""
        parts = urllib.parse.urlsplit(url)
        request = urllib.request.Request(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())
        request.add_header("Accept", "text/html, */*;q=0.1")
        if parts.username and self.authenticated:
            login = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        with self.opener.open(request, timeout=TIMEOUT) as response:
            content: bytes = response.read()
        return content

    def candidates(self, index: str) -> list[Candidate]:
        """Return the pip wheels that `index` offers and that may be taken, the newest first."""
        page = f"{index.rstrip('/')}/pip/" + ("index.html" if index.startswith("file:") else "")
        links = Links(page)
        links.feed(self.read(page).decode("utf-8", "replace"))
        found = sorted(links.candidates, key=lambda candidate: candidate.version, reverse=True)
        if self.authenticated or index.startswith("file:"):
            return [candidate for candidate in found if candidate.sha256]
        return [
            Candidate(KNOWN_WHEEL, link.url, KNOWN_SHA256, link.version) for link in found if link.name == KNOWN_WHEEL
        ]


def without_password(url: str) -> str:
    """Return `url` as it may be shown."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def fetch(folder: Path, environment: dict[str, str]) -> Path:
    """Download the newest pip wheel for this Python into `folder`, check its sha256, and return its path."""
    index = Index(configuration(environment))
    reasons = []
    for url in index.urls:
        try:
            candidates = index.candidates(url)
            if not candidates:
                reasons.append(
                    f"{without_password(url)}: no pip wheel with a sha256 for Python {sys.version.split()[0]}"
                )
                continue
            wheel = candidates[0]
            content = index.read(wheel.url)
        except (OSError, ValueError) as error:  # URLError is an OSError, an ill-formed address a ValueError
            reasons.append(f"{without_password(url)}: {getattr(error, 'reason', None) or error}")
            continue
        if hashlib.sha256(content).hexdigest() != wheel.sha256:
            raise FetchError(
                f"{wheel.name} from {without_password(url)} does not have the sha256 that is expected of it"
            )
        path = folder / wheel.name
        path.write_bytes(content)
        return path
    raise FetchError("; ".join(reasons))
