"""Messages between pytest and its recorder: tuples of plain values over a stream socket.

marshal, because json costs the recorder 12 ms at its start; both ends are the same interpreter. What becomes JSON in
the spool is sent as JSON text, so that the recorder need not encode it.

pytest to recorder                     when
Settings                               first of all
("begin", base, nodeid, rerun)         a run of a test begins; base is its first label, the nodeid is JSON
("end", base, outcome)                 its outcome, JSON, is known
("sandbox", label, argv, policy, denied, complete, counts)
                                       what a sandboxed program has done in a phase, which ends or has ended; the texts
                                       are JSON, counts are by call, as in the ledger
("collected",)                         collection is over
("policy", number, program, calls)     a policy: its filter, and the calls of which it may say something
("count", label, counts)               calls of a label that were seen elsewhere
("under", label, numbers)              from its next marker on, the calls of a label are under these policies
("allowed", calls)                     calls that a profile allows: who makes others is to be known
("finish",)                            the session is over: write all, answer ("finished", complete, lost, reasons)
("merged",)                            the session has its files: nothing is left to do when pytest ends

recorder to pytest
("ready", backend, pid, notes, failures)
                                       this backend works here: pytest may come under its filter; those before it do
                                       not; the pid is the recorder's
("unusable", failures)                 none does: of each its name, the reason and the remedy
("unavailable", reason, remedy)        it cannot be recorded
("again",)                             the marker call that rang for "finish" was not seen: make another one
("finished", complete, lost, reasons)    reasons for the trace to be incomplete, where they are not in the spool

With a number, which the answer has, too: a signal handler may raise while pytest waits, and then the answer is still to
come when pytest asks for something else.
("denials", number, label)             what was denied under a label since it was asked last? Answered by
                                       ("denials", number, found, left_out): `policies.Denial` each
("outside", number, labels)            what was counted under labels outside these, since it was asked last? Answered by
                                       ("outside", number, found): `outside.Found` each
("counted", number, base)              what was counted for a test, by phase? ("counted", number, counts)
("open", number, base)                 from now on, what is counted for a test is counted for a block as well:
                                       ("open", number)
("spawn", number, command)             a process of ours that is to be under no filter, as the recorder is:
                                       ("spawn", number), with the other end of its control socket
("close", number, block)               the end of the block that had that number:
                                       ("close", number, counts, complete)

The backend `ebpf` has two more, for which pytest waits:
("attach",)                            was its marker seen, and where are its words? ("attach", seen, slot), with a
                                       descriptor of the map that it sets its markers in
("read", label)                        all that was sent up to here is to be read, before the banks of this label are
                                       used again: ("read",)

Backends that read the kernel's log have one more message, which precedes every marker call that rings:
("boundary", number, label)            all that was sent up to here belongs before the marker with this number
"""

import marshal

Message = tuple[object, ...]

AGAIN: Message = ("again",)

CLOSED = (
    "a test has closed descriptors that it did not open, the recorder's among them: what was traced after that is not "
    "recorded"
)
"""What both ends say where the code under test closes descriptors that it did not open."""

HIDDEN = (
    "a filter in the tests hides munmap(2), by which the recorder is told of tests: from then on calls cannot be told "
    "apart by test"
)
"""What pytest says where the call that rings does not reach the recorder, which lives. The recorder does not know of
it, and hears nothing more until pytest ends."""


class Settings:
    """What a recorder is to do; the first message.

    `backend` is the name of one, or several names with commas between them: the first that works here is taken.
    `target` is the pid of pytest. `spool` is the path of the file to write, None where there is nothing to trace, only
    to check the backend, and to merge if the target is killed (an xdist controller), or where nothing is written though
    calls are counted and decided: `unwritten`. `worker` is the name of the worker as a JSON value. `salvage` is the
    command that merges the spools in place of a killed pytest, None where another process sees to that.
    """

    __slots__ = ("backend", "cookie", "salvage", "spool", "target", "unwritten", "worker")

    def __init__(
        self,
        backend: str,
        cookie: int,
        target: int,
        spool: str | None,
        worker: str,
        salvage: list[str] | None,
        unwritten: bool = False,
    ) -> None:
        self.backend = backend
        self.cookie = cookie
        self.target = target
        self.spool = spool
        self.worker = worker
        self.salvage = salvage
        self.unwritten = unwritten

    def message(self) -> Message:
        """As it is sent; the constructor takes its parts."""
        return (self.backend, self.cookie, self.target, self.spool, self.worker, self.salvage, self.unwritten)


_LENGTH = 4


def encode(message: Message) -> bytes:
    """A message as it goes over the socket."""
    body = marshal.dumps(message)  # type: ignore[arg-type]
    return len(body).to_bytes(_LENGTH, "little") + body


class Decoder:
    """Takes what the socket gives, in pieces of any size, and gives whole messages."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def has_part(self) -> bool:
        """Whether the beginning of a message is there, and its end is still to come."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are whole now, in order."""
        messages: list[Message] = []
        buffer = self._buffer + data
        position = 0
        while len(buffer) - position >= _LENGTH:
            end = position + _LENGTH + int.from_bytes(buffer[position : position + _LENGTH], "little")
            if end > len(buffer):
                break
            messages.append(marshal.loads(buffer[position + _LENGTH : end]))
            position = end
        self._buffer = buffer[position:]
        return messages
