"""Gaps in the serials of audit events: each event has the number after that of the one before, whatever its type.

Events that are made at a time on several processors come out of order (43 of 100,004, up to 11 apart), and one that has
several records comes several times. Source: kernel/audit.c (audit_serial).
"""

_WRAP = 2**32


class Serials:
    """Which serials have come since a certain event. Takes memory for those alone that are ahead of a missing one.

    A gap need not be a loss: an event has its number before it is sent, and another process may be stopped in between,
    so that ours comes first. Wait for a while before it is taken for one. And a loss need not be a gap: what was lost
    after the last one that came, and what the kernel never made an event of, leaves none.
    """

    __slots__ = ("_ahead", "_next")

    def __init__(self) -> None:
        self._next: int | None = None
        self._ahead: set[int] = set()

    def add(self, serial: int) -> None:
        """One has come, of any type."""
        if self._next is None or _distance(self._next, serial) > 0:
            self._ahead.add(serial)
        elif serial == self._next:
            self._go_on(serial)

    def begin(self, serial: int) -> None:
        """This is the first that counts, that of an event of our own. Those after it may have come before it, also
        where it has begun earlier."""
        if self._next is not None and _distance(serial, self._next) > 0:
            return  # all of them up to there, which are not kept
        self._next = None
        self._ahead = {other for other in self._ahead if _distance(serial, other) > 0}
        self._go_on(serial)

    def missing(self, end: int) -> int:
        """How many have not come of those between the first and `end`. Raises ValueError before `begin`."""
        if self._next is None:
            raise ValueError("no first serial")
        between = _distance(self._next, end)
        return max(0, between) - sum(0 < _distance(self._next, serial) < between for serial in self._ahead)

    def _go_on(self, serial: int) -> None:
        following = (serial + 1) % _WRAP
        while following in self._ahead:
            self._ahead.remove(following)
            following = (following + 1) % _WRAP
        self._next = following


def _distance(one: int, other: int) -> int:
    """How many after `one` the other comes, negative where it comes before; numbers start again after 32 bits."""
    return (other - one + _WRAP // 2) % _WRAP - _WRAP // 2
