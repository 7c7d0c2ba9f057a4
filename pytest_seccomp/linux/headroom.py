"""Room in Python's allocator, made between tests, so that a test that needs little memory makes no system call for it;
and wherever else no call may be.

Python takes memory from the kernel in arenas of 1 MiB, and pytest keeps about 3 KB of each test. So an empty test had
an mmap whenever an arena happened to end in it: 47 mmap and 1 brk in 36,000 empty tests, none in 18,000 with this
(CPython 3.11 to 3.13, with and without xdist).
"""

from struct import Struct

_SMALL, _COUNT = 479, 128
# 479 bytes are a block of 512, the largest that Python's own allocator gives: 128 of them are four pools, which go back
# to their arena and are there for blocks of any size. With 32 there was no effect: they were in pools in use. To cut
# them out of a large block, all by one call, takes a third of the time of making each by itself.
_CUT = Struct(f"{_SMALL}s" * _COUNT).unpack_from
_LARGE = 64 * 1024
# From the C library, which takes what is below 128 KiB from the heap that brk extends. subprocess reads into 50,000
# bytes: with half of this, 4 of 600 tests that ran /bin/true had one brk more than the others.


def make_room() -> object:
    """Take memory and give it back; 4 us. What is returned keeps its arena from going back to the kernel at once."""
    return _CUT(bytes(_LARGE))[-1]
