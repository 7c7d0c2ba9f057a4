"""A traced run in a container as CI has them: uid 1000, no capability, the default profile, no /dev/kmsg."""

import os
import platform
import sys
from pathlib import Path

import container
import pytest
from mechanisms import CONTAINER_PROFILE
from traced import Trace

ARCHES = {
    "x86_64": {"amd64": "SCMP_ARCH_X86_64", "x86": "SCMP_ARCH_X86", "x32": "SCMP_ARCH_X32"},
    "aarch64": {"arm64": "SCMP_ARCH_AARCH64", "arm": "SCMP_ARCH_ARM"},
}

TESTS = """
    import ctypes, os, subprocess, threading
    from pathlib import Path

    def status(name):
        return dict(line.split(":\\t") for line in Path("/proc/self/status").read_text().splitlines())[name]

    def test_where_we_are():
        assert os.getuid() == 1000
        assert int(status("CapEff"), 16) == int(status("CapBnd"), 16) == 0
        assert status("NoNewPrivs") == "1"
        # The container's filter and that of this run
        assert status("Seccomp_filters") == "2"
        assert not Path("/dev/kmsg").exists()

    def test_the_profile_denies():
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.acct(None) == -1

    def test_loop():
        for _ in range(1000):
            os.getppid()

    def test_empty():
        pass

    def test_threads():
        threads = [threading.Thread(target=lambda: [os.getppid() for _ in range(100)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def test_child():
        subprocess.run(["/bin/true"], check=True)
"""


@pytest.mark.needs("runc", "container-profile")
@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_default_container(tmp_path: Path, options: list[str]) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    (suite / "test_in_container.py").write_text(_dedented(TESTS))
    out, bundle = tmp_path / "out", tmp_path / "bundle"
    out.mkdir()
    os.chown(out, 1000, 1000)
    bundle.mkdir()
    trace = out / "trace.ndjson"
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--seccomp-trace={trace}", *options, str(suite)]
    config = container.configuration(argv)
    prefixes = {Path(sys.prefix), Path(sys.base_prefix)} - {Path("/usr")}
    config["mounts"] += [container.bind(folder) for folder in (*sorted(prefixes), suite)]
    config["mounts"].append(container.bind(out, writable=True))
    config["linux"]["seccomp"] = container.default_profile(CONTAINER_PROFILE, ARCHES[platform.machine()])
    result = container.run(container.write_bundle(bundle, config))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no_new_privs" in result.stdout

    written = Trace.read(trace)
    assert written.complete
    phases = {test.nodeid.rpartition("::")[2]: test.own for test in written.tests}
    assert phases["test_loop"]["call"].get("getppid") == 1000
    assert phases["test_threads"]["call"]["getppid"] == 400
    assert phases["test_child"]["call"]["execve"] == 1
    # What the outer filter denies does not reach ours: it was not made
    assert "acct" not in phases["test_the_profile_denies"].get("call", {})
    if not options:
        assert phases["test_loop"] == {"call": {"getppid": 1000}}
        assert phases["test_empty"] == {}


def _dedented(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())
