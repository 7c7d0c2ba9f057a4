"""Control groups: found by any of their names, and their members."""

from pathlib import Path

import pytest
from cgroups import made_cgroup
from running import until

from pytest_seccomp.linux import cgroup
from pytest_seccomp.linux.cgroup import Cgroup

LINE = "{number} 29 0:26 {root} {place} rw,nosuid shared:4 - {kind} cgroup2 rw,nsdelegate\n"


def mounts(folder: Path, *hierarchies: tuple[str, str]) -> str:
    """Write a mountinfo with cgroup2 mounted at these places, with these roots; returns its path."""
    file = folder / "mountinfo"
    text = "22 1 254:0 / / rw - ext4 /dev/root rw\n" + LINE.format(number=23, root="/", place="/old", kind="cgroup")
    for number, (root, place) in enumerate(hierarchies, 30):
        text += LINE.format(number=number, root=root, place=place.replace(" ", "\\040"), kind="cgroup2")
    file.write_text(text)
    return str(file)


def group(folder: Path, *pids: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return folder


def test_by_its_directory_or_by_its_path(tmp_path: Path) -> None:
    place = group(tmp_path / "a place")
    made = group(place / "system.slice/some app")
    file = mounts(tmp_path, ("/", str(place)))
    for name in (str(made), f"{made}/", "/system.slice/some app", "//system.slice/./some app/"):
        found = cgroup.find(name, file)
        assert (found.path, found.directory) == (b"/system.slice/some app", str(made).encode())
    assert cgroup.find(str(place), file).path == cgroup.find("/", file).path == b"/"


def test_where_a_part_of_the_hierarchy_is_mounted(tmp_path: Path) -> None:
    place = group(tmp_path / "place")
    made = group(place / "inner")
    file = mounts(tmp_path, ("/outer", str(place)))
    for name in (str(made), "/outer/inner"):
        assert cgroup.find(name, file).path == b"/outer/inner"
    with pytest.raises(FileNotFoundError):
        cgroup.find("/inner", file)


def test_by_a_link_to_its_directory(tmp_path: Path) -> None:
    place = group(tmp_path / "place")
    group(place / "real")
    (tmp_path / "link").symlink_to(place / "real")
    assert cgroup.find(str(tmp_path / "link"), mounts(tmp_path, ("/", str(place)))).path == b"/real"


@pytest.mark.parametrize("name", ["/none", "{}/none", "{}/../outside", "relative", "", "{}x"])
def test_none_there(tmp_path: Path, name: str) -> None:
    place = group(tmp_path / "place")
    group(tmp_path / "outside")
    file = mounts(tmp_path, ("/", str(place)))
    with pytest.raises(FileNotFoundError, match=r"no cgroup of version 2"):
        cgroup.find(name.format(place), file)


def test_no_hierarchy_of_version_2(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cgroup.find("/", mounts(tmp_path))


@pytest.mark.parametrize(
    ("path", "held"),
    [
        (b"/a/b", True),
        (b"/a/b/c", True),
        (b"/a/b/c/d", True),
        (b"/a/bc", False),
        (b"/a", False),
        (b"/", False),
        (b"", False),
        (b"/x/a/b", False),
    ],
)
def test_what_is_below_it(path: bytes, held: bool) -> None:
    assert Cgroup(b"/a/b", b"").holds(path) is held


def test_all_is_below_the_root() -> None:
    assert all(Cgroup(b"/", b"").holds(path) for path in (b"/", b"/a", b"/a/b"))


def test_members(tmp_path: Path) -> None:
    group(tmp_path, 1)
    group(tmp_path / "a", 2, 3)
    group(tmp_path / "a/b")
    group(tmp_path / "a/b/c", 4)
    assert sorted(Cgroup(b"/", bytes(tmp_path)).members()) == [1, 2, 3, 4]
    assert sorted(Cgroup(b"/a", bytes(tmp_path / "a")).members()) == [2, 3, 4]
    assert Cgroup(b"/gone", bytes(tmp_path / "gone")).members() == []


@pytest.mark.needs("cgroup")
def test_a_real_one() -> None:
    with made_cgroup() as outer, outer.child() as inner:
        found = cgroup.find(str(outer.folder))
        assert found.members() == []
        with outer.process() as first, inner.process() as second:
            assert sorted(found.members()) == sorted([first.pid, second.pid])
            assert cgroup.find(str(inner.folder)).members() == [second.pid]
            assert cgroup.find(found.path.decode()).directory == found.directory
        until("no member", lambda: not found.members())
    assert found.members() == []
