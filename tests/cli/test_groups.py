"""`pytest-seccomp groups`."""

import json

from commands import Command

from pytest_seccomp.profile.groups import groups


def test_all_groups_with_the_number_of_their_calls(command: Command) -> None:
    result = command("groups")
    assert (result.status, result.err) == (0, "")
    rows = [line.split(maxsplit=2) for line in result.out.splitlines()]
    assert rows[0] == ["group", "calls", "what it is for"]
    assert rows[1:] == [[name, str(len(group.members())), group.description] for name, group in groups().items()]


def test_the_calls_of_some_groups_with_those_of_groups_in_them(command: Command) -> None:
    result = command("groups", "@swap", "@internet")
    assert result.out.splitlines() == [
        "@swap: swap devices",
        "    swapoff",
        "    swapon",
        f"@internet: {groups()['@internet'].description}",
        "    socket(AF_INET)",
        "    socket(AF_INET6)",
        "    socket(AF_PACKET)",
    ]
    assert "    swapon" in command("groups", "@privileged").out.splitlines()


def test_json(command: Command) -> None:
    (found,) = json.loads(command("groups", "@internet", "--json").out)["groups"]
    assert found["name"] == "@internet"
    assert found["calls"][0] == {"name": "socket", "first_argument": "AF_INET", "value": 2}
    assert len(json.loads(command("groups", "--json").out)["groups"]) == len(groups())


def test_a_group_that_does_not_exist(command: Command) -> None:
    result = command("groups", "@swap", "@mont")
    assert result.status == 2
    assert result.out == ""
    assert result.err == ("pytest-seccomp: error: no group of system calls is named '@mont': did you mean @mount?\n")
    assert command("groups", "@nope").err.endswith("named '@nope': pytest-seccomp groups lists them\n")
    assert command("groups", "mount").err.endswith("did you mean @mount?\n")
