"""What pytest asks for: a program, how it is to be started, and what its calls get. It goes to the supervisor, and with
it the descriptors that the program is to have.

Messages are those of `recorder.protocol`: tuples of plain values over a stream socket. `n` is the number of a request,
which its answer repeats.

pytest to host          host to pytest
("sandbox", n, ms)      ("sandbox", n, pid, host's pid), with two descriptors, of requests and of news;
                        ("refused", n, reason). An answer to a request is waited for so long

pytest to supervisor, over the requests       answer
("start", ...)                                none; the news begin
("report", n)                                 ("report", n, report)
("signal", n, number)                         ("signal", n, errno), 0 where it was sent, or the program has ended
("end", n)                                    ("report", n, report), when no process of the sandbox is left

supervisor to pytest, the news
("started", pid)                      the program runs: its execve has succeeded
("failed", errno, where)              it does not; where: "cwd", "exec", or "" for anything else before
("refused", reason, remedy)           there can be no such sandbox
("broken", text)                      the supervisor ends for an error of its own
("ended", status, report)             the program has ended; the status is that of wait(2)
("over", report)                      so have all that it has started: nothing more comes
"""

from pytest_seccomp.recorder import protocol


class Request:
    """How to start a program.

    All texts are bytes, as the kernel takes them. `paths` are the files to try. `targets` are the numbers that the
    descriptors sent along are to have, in their order. `process` and `thread` are pytest's: what is not said here, the
    program inherits from it. `program` is the policy's filter, empty where there is none; `record` says whether what is
    allowed is recorded, too. For `umask`, `gid`, `uid`, `process_group` -1 is "as inherited", for `gids` None.
    """

    __slots__ = (
        "argv", "cwd", "environment", "gid", "gids", "paths", "process", "process_group", "program", "record",
        "restore_signals", "start_new_session", "targets", "thread", "uid", "umask",
    )  # fmt: skip

    def __init__(
        self,
        *,
        argv: list[bytes],
        paths: list[bytes],
        environment: list[bytes],
        cwd: bytes | None,
        targets: list[int],
        program: bytes,
        record: bool,
        process: int,
        thread: int,
        umask: int = -1,
        restore_signals: bool = True,
        start_new_session: bool = False,
        process_group: int = -1,
        gid: int = -1,
        gids: list[int] | None = None,
        uid: int = -1,
    ) -> None:
        self.argv = argv
        self.paths = paths
        self.environment = environment
        self.cwd = cwd
        self.targets = targets
        self.program = program
        self.record = record
        self.process = process
        self.thread = thread
        self.umask = umask
        self.restore_signals = restore_signals
        self.start_new_session = start_new_session
        self.process_group = process_group
        self.gid = gid
        self.gids = gids
        self.uid = uid

    def message(self) -> protocol.Message:
        """As it is sent."""
        return ("start", {name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_message(cls, message: protocol.Message) -> "Request":
        """From what was sent."""
        return cls(**message[1])  # type: ignore[arg-type]
