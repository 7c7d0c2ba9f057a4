"""Several runs with one PATH: one after the other, and at the same time."""

import json

import pytest
from running import Run, traced
from traced import Suite

pytestmark = pytest.mark.needs("listener")


def test_appending(suite: Suite) -> None:
    suite.write("test_one.py", "import os\ndef test_one():\n    for _ in range(100):\n        os.getppid()\n")
    for times in (1, 2, 3):
        with traced(suite, "--seccomp-trace-append") as run:
            finished = run.finish(0)
            run.expect_nothing_left()
        lines = (suite.folder / "out.tests.ndjson").read_text().splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        assert kinds.count("run") == kinds.count("test") == times
        records = [json.loads(line) for line in (suite.folder / "out.ndjson").read_text().splitlines()]
        (getppid,) = [record for record in records if record["name"] == "getppid"]
        assert getppid["count"] == 100 * times
        assert getppid["tests"] == times
        assert "added to out.ndjson" in finished.stdout
    with traced(suite) as run:
        assert run.trace(status=0).counts["getppid"] == 100


@pytest.mark.parametrize("append", [True, False], ids=["append", "replace"])
def test_runs_at_the_same_time(suite: Suite, append: bool) -> None:
    """Appending, all of them end up in the trace; else the last one's is there, whole, and says what it replaced."""
    suite.write(
        "test_together.py",
        """
        import os, pathlib, time

        def test_together():
            number = int(os.environ["NUMBER"])
            pathlib.Path(f"ready{number}").touch()
            while not pathlib.Path("go").exists():
                time.sleep(0.01)

        def test_number():
            for _ in range(1000 + int(os.environ["NUMBER"])):
                os.getppid()
        """,
    )
    options = ["--seccomp-trace-append"] if append else []
    runs = []
    try:
        for number in range(4):
            options_of_run = ["--seccomp-trace=out.ndjson", "-p", "no:cacheprovider", *options]
            runs.append(Run(suite, *options_of_run, environment={"NUMBER": str(number)}))
        for number, run in enumerate(runs):
            run.wait_for(f"ready{number}")
        (suite.folder / "go").touch()
        outputs = [run.finish(0).stdout for run in runs]
        for run in runs:
            run.expect_nothing_left()
    finally:
        for run in runs:
            run.__exit__()
    lines = [json.loads(line) for line in (suite.folder / "out.tests.ndjson").read_text().splitlines()]
    records = [json.loads(line) for line in (suite.folder / "out.ndjson").read_text().splitlines()]
    (getppid,) = [record for record in records if record["name"] == "getppid"]
    told = [output for output in outputs if "was written by another run meanwhile" in output]
    if append:
        assert [line["kind"] for line in lines].count("run") == 4
        assert [line["kind"] for line in lines].count("test") == 8
        assert getppid["count"] == 4 * 1000 + 0 + 1 + 2 + 3
        assert told == []
    else:
        assert [line["kind"] for line in lines].count("run") == 1
        assert getppid["count"] in range(1000, 1004)
        assert len(told) == 3
