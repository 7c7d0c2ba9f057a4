"""One end of a stream of messages, in a process that waits for many things at once and must not wait for this one."""

from pytest_seccomp.linux.messages import Messages
from pytest_seccomp.recorder import protocol


class Connection:
    """A socket by its descriptor. `closed` says that the other end is, or that nothing can be sent any more."""

    __slots__ = ("_decoder", "_messages", "_unsent", "closed", "descriptor", "descriptors")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.descriptors: list[int] = []
        """Those that came along, in order, and that nobody has taken."""
        self.closed = False
        self._messages = Messages()
        self._decoder = protocol.Decoder()
        self._unsent = b""

    @property
    def has_unsent(self) -> bool:
        """Whether it is to be flushed when there is room (POLLOUT)."""
        return bool(self._unsent)

    def send(self, message: protocol.Message) -> None:
        """Send a message, now or when there is room."""
        self._unsent += protocol.encode(message)
        self.flush()

    def flush(self) -> None:
        """Send what there is room for."""
        try:
            while self._unsent and not self.closed:
                sent = self._messages.send_now(self.descriptor, self._unsent)
                self._unsent = self._unsent[sent:]
                if not sent:
                    return
        except OSError:
            self.closed = True  # EPIPE, ECONNRESET
        if self.closed:
            self._unsent = b""

    def receive(self, *, wait: bool = False) -> list[protocol.Message]:
        """The messages that have come; it can wait until something has."""
        found: list[protocol.Message] = []
        while not self.closed:
            try:
                data, descriptors = self._messages.receive(self.descriptor, wait=wait)
            except BlockingIOError:
                break
            except OSError:
                data, descriptors = b"", []  # ECONNRESET: closed with something in it that nobody has read
            wait = False
            self.descriptors += descriptors
            if not data:
                self.closed = True
            found += self._decoder.feed(data)
        return found
