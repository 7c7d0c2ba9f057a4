"""pytest's side of one sandbox: what it asks its supervisor for, and what it is told.

Two sockets, because one thread may wait for the program's end while another one asks for something. For any number of
threads. Nothing here makes a system call that would be in a trace of pytest's, but for closing the sockets.
"""

import os
import signal
import threading
from os import close as close_descriptor  # a test may replace os.close while its program runs
from typing import NoReturn

from pytest_seccomp.errors import SandboxError
from pytest_seccomp.linux.messages import Messages
from pytest_seccomp.recorder import protocol
from pytest_seccomp.sandbox.request import Request
from pytest_seccomp.sandbox.told import Told

_DIED = "the supervisor of the sandbox died: its program was killed, and what it did last is not recorded"


class Sandbox:
    """A program in a sandbox, and all that it starts."""

    def __init__(
        self,
        messages: Messages,
        requests: int,
        news: int,
        supervisor: int,
        *,
        recorded: bool,
        about: object = None,
        argv: tuple[str, ...] = (),
    ) -> None:
        self.about = about
        """What whoever looks after the sandboxes keeps with it."""
        self.argv = argv
        """The program and its arguments."""
        self._messages = messages
        self._requests = _Stream(messages, requests)
        self._news = _Stream(messages, news)
        self._supervisor = supervisor
        self._recorded = recorded
        self._number = 0
        self._answers: dict[int, protocol.Message] = {}
        # In the thread that has one of these, a signal handler may want it again
        self._asking = threading.RLock()
        self._hearing = threading.RLock()
        self._status: int | None = None
        self._told = Told({} if recorded else None, (), ())
        self._over = False
        self._delta: Told | None = None
        self.pid = 0
        """Of the program."""

    def start(self, request: Request, descriptors: list[int]) -> protocol.Message | None:
        """Have the program started, and wait until it runs. None where it does, else the message ("failed", errno,
        where) in the words of `request`. Raises SandboxError, and OSError for a descriptor that is none."""
        __tracebackhide__ = True  # in pytest's reports the line of the test is of interest
        try:
            self._requests.send(request.message(), descriptors)
        except (BrokenPipeError, ConnectionResetError):
            pass  # why is in the news
        except OSError as error:
            for descriptor in descriptors:
                os.fstat(descriptor)  # raises as subprocess does, where it is this one that is wrong
            _closed(error)
        with self._hearing:
            while True:
                message = self._news.next(wait=True)
                match message:
                    case ("started", int(pid)):
                        self.pid = pid
                        return None
                    case ("failed", *_):
                        return message
                    case ("refused", reason, remedy):
                        raise SandboxError(f"{reason}: {remedy}")
                    case ("broken", text):
                        raise SandboxError(f"a sandbox could not be made: {text}")
                    case None:
                        raise SandboxError("the supervisor of a sandbox died before its program ran: start it again")

    def wait(self, *, block: bool) -> int | None:
        """The program's status, as wait(2) has it, when it has ended; None where it has not and is not waited for."""
        with self._hearing:
            while self._status is None and self._hear(wait=block):
                pass
            return self._status

    def told(self) -> Told:
        """What the sandbox has done up to now."""
        answer = None if self._over else self._ask("report")
        if answer is not None:
            self._remember(answer[2])
        else:
            self._hear_all()
        return self._told

    def at_end(self) -> Told:
        """What it had done when its program ended; of one that has not, the same as `told`."""
        return self._told if self._status is not None else self.told()

    def delta(self) -> Told:
        """What it has done since this was asked last."""
        now = self.told()
        since, self._delta = now.since(self._delta), now
        return since

    @property
    def is_told(self) -> bool:
        """Whether nothing is left that `delta` might have to tell, now and later."""
        return self._over and self._delta is self._told

    def signal(self, number: int) -> None:
        """Send a signal to the program; nothing where it has ended. Raises OSError where it may not be."""
        answer = self._ask("signal", int(number))  # one of signal.Signals is no plain value
        if answer is not None and answer[2]:
            code = int(answer[2])  # type: ignore[call-overload]
            raise OSError(code, os.strerror(code))

    def end(self) -> None:
        """End the program and all that it has started, and wait until nobody is left."""
        self._ask("end")
        self._hear_all()

    def close(self) -> None:
        """Let go of it: nothing is told of it any more. It runs on until pytest ends."""
        self._requests.close()
        self._news.close()

    def __del__(self) -> None:
        self.close()

    def _ask(self, what: str, *parts: object) -> protocol.Message | None:
        """The answer to a request; None where the supervisor has ended."""
        with self._asking:
            if self._over:
                return None
            self._number += 1
            number = self._number
            try:
                self._requests.send((what, number, *parts), [])
            except (BrokenPipeError, ConnectionResetError):
                return None
            except OSError as error:
                _closed(error)
            # Others may come first: that to a request from which an exception has come out of a signal handler, and
            # in such a handler, that to the request that it has interrupted
            while number not in self._answers:
                try:
                    answer = self._requests.next(wait=True)
                except BlockingIOError:
                    kill(self._supervisor)  # it does not answer; what it was asked for has no other answer then
                    return None
                if answer is None:
                    return None
                assert isinstance(answer[1], int)
                self._answers[answer[1]] = answer
            return self._answers.pop(number)

    def _hear_all(self) -> None:
        """Hear the news to their end, which has come or is about to."""
        with self._hearing:
            while not self._over and self._hear(wait=True):
                pass

    def _hear(self, *, wait: bool) -> bool:
        """Hear one of the news, if there is one; returns whether there was."""
        if self._over:
            return False
        try:
            message = self._news.next(wait=wait)
        except BlockingIOError:
            return False
        match message:
            case ("ended", int(status), report):
                self._status = status
                self._remember(report)
            case ("over", report):
                self._remember(report)
                self._finish()
            case ("broken", text):
                self._lose(f"the supervisor of the sandbox has failed: {text}")
            case None:
                self._lose(_DIED)
                if self._status is None:
                    self._status = signal.SIGKILL
                self._finish()
        return True

    def _finish(self) -> None:
        """Nothing more is to be heard."""
        self._over = True
        self._news.close()
        if self._asking.acquire(blocking=False):  # else it is closed when this object goes
            try:
                self._requests.close()
            finally:
                self._asking.release()

    def _remember(self, report: object) -> None:
        told = Told.from_report(report, recorded=self._recorded)  # type: ignore[arg-type]
        if self._told.reasons:
            told = Told(told.counts, told.denied, told.logged, self._told.reasons)
        self._told = told

    def _lose(self, reason: str) -> None:
        if not self._told.reasons:
            self._told = Told(self._told.counts, self._told.denied, self._told.logged, (reason,))


def kill(pid: int) -> None:
    """End a process of ours that does not answer."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or the test has become another user: it ends with pytest


class _Stream:
    """Messages over a socket by its descriptor."""

    def __init__(self, messages: Messages, descriptor: int) -> None:
        self._messages = messages
        self._descriptor = descriptor
        self._decoder = protocol.Decoder()
        self._waiting: list[protocol.Message] = []

    def send(self, message: protocol.Message, descriptors: list[int]) -> None:
        self._messages.send(self._descriptor, protocol.encode(message), descriptors)

    def next(self, *, wait: bool) -> protocol.Message | None:
        """The next message; None at the end. Raises BlockingIOError where there is none yet and it is not to wait."""
        while not self._waiting:
            try:
                data, _ = self._messages.receive(self._descriptor, wait=wait)
            except ConnectionResetError:
                return None
            except BlockingIOError:
                raise
            except OSError as error:
                _closed(error)
            if not data:
                return None
            self._waiting += self._decoder.feed(data)
        return self._waiting.pop(0)

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                close_descriptor(descriptor)
            except OSError:
                pass  # EBADF: the code under test has closed it already


def _closed(error: OSError) -> NoReturn:
    raise SandboxError(
        "a test has closed descriptors that it did not open, a sandbox's among them: nothing is known of it any more"
    ) from error
