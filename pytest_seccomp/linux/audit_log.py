"""The kernel's audit messages as they are made: the multicast group READLOG of netlink's audit family.

For whoever has CAP_AUDIT_READ in the initial user namespace; joining from another network namespace works too, and
gives nothing. The group has every message, whether auditd runs or not. A reader that is too slow loses messages.
Only for little-endian machines.

The recorder imports this file: `_socket`, because `socket` costs it 10 ms.
Sources: netlink(7), socket(7), kernel/audit.c (audit_multicast_bind, kauditd_send_multicast_skb),
net/netlink/af_netlink.c (netlink_overrun).
"""

import _socket
import errno

from pytest_seccomp.linux.seccomp_record import RECORD_TYPE, SeccompRecord, parse, serial_of

FAMILY = 9
"""NETLINK_AUDIT"""

HEADER_LENGTH = 16
"""Of struct nlmsghdr: 32 bits of length, 16 of type, 16 of flags, 32 of sequence, 32 of the sender's port."""

_GROUP_READLOG = 1
_SOL_NETLINK = 270
_ADD_MEMBERSHIP = 1
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8

_LONGEST = 32768
"""Longer than any message: two strings of 4 KiB in hexadecimal, and a label."""

BUFFER_BYTES = 64 << 20
"""For some 50,000 records; memory is taken only for those that wait."""


class Message:
    """One audit message.

    `record` is None in a message of another type, and in a seccomp record that cannot be read: `unreadable` tells.
    `serial` is None in a message that is no event.
    """

    __slots__ = ("kind", "record", "serial", "text")

    def __init__(self, kind: int, text: bytes) -> None:
        self.kind = kind
        self.text = text
        self.record: SeccompRecord | None = parse(text) if kind == RECORD_TYPE else None
        self.serial = self.record.serial if self.record is not None else serial_of(text)

    @property
    def unreadable(self) -> bool:
        """Whether it is a seccomp record, but not as the kernel prints them."""
        return self.kind == RECORD_TYPE and self.record is None


class AuditLog:
    """A member of the group. Its `descriptor` is readable in a poll when there are messages, or some were lost."""

    def __init__(self, buffer_bytes: int = BUFFER_BYTES) -> None:
        """Join: all that is made from now on comes. Without CAP_NET_ADMIN the buffer is no larger than
        net.core.rmem_max.

        Raises PermissionError without CAP_AUDIT_READ, OSError EPROTONOSUPPORT in a kernel without audit.
        """
        self._socket = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW, FAMILY)
        self.overruns = 0
        """How often the kernel has said that the buffer was full (ENOBUFS). How many messages that has cost is in
        `dropped`; it leaves no gap in the serials where nothing comes after it."""
        try:
            try:
                self._socket.setsockopt(_socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
            except PermissionError:
                self._socket.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, buffer_bytes)
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_READLOG)
            self._socket.setblocking(False)
        except OSError:
            self._socket.close()
            raise
        self.descriptor = self._socket.fileno()

    def receive(self, most: int = 1000) -> list[Message]:
        """What has come, in the order in which it did, which need not be that of the serials; empty when nothing is
        left. Raises OSError."""
        messages: list[Message] = []
        receive = self._socket.recvfrom
        while len(messages) < most:
            try:
                data, (port, _) = receive(_LONGEST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.overruns += 1
                continue
            if port == 0:  # from the kernel: others need a capability to send to us, but could
                messages.append(Message(data[4] | data[5] << 8, data[HEADER_LENGTH:]))
        return messages

    @property
    def dropped(self) -> int:
        """How many messages the kernel could not deliver to this socket, of any type."""
        counters = self._socket.getsockopt(_socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_MEMINFO_DROPS + 1))
        return int.from_bytes(counters[4 * _MEMINFO_DROPS :], "little")

    def close(self) -> None:
        """Leave the group."""
        self._socket.close()
