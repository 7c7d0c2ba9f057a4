"""Messages over a stream: whole ones come out, in order, in whatever pieces their bytes come in."""

import traces  # noqa: F401  # its profile for Hypothesis
from hypothesis import given
from hypothesis import strategies as st

from pytest_seccomp.recorder.protocol import Decoder, Message, Settings, encode

TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)  # lone surrogates too
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXTS, lambda values: st.lists(values, max_size=3)
)
MESSAGES = st.lists(st.lists(VALUES, max_size=4).map(tuple), max_size=5)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(cut % (len(data) + 1) for cut in cuts)
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@given(MESSAGES, st.lists(st.integers(min_value=0), max_size=20))
def test_pieces_of_any_size_give_the_same_messages(messages: list[Message], cuts: list[int]) -> None:
    decoder = Decoder()
    stream = b"".join(map(encode, messages))
    assert [message for piece in pieces(stream, cuts) for message in decoder.feed(piece)] == messages


@given(MESSAGES)
def test_single_bytes_give_each_message_with_its_last_byte(messages: list[Message]) -> None:
    decoder = Decoder()
    for message in messages:
        data = encode(message)
        assert [decoder.feed(data[place : place + 1]) for place in range(len(data))] == [
            *([[]] * (len(data) - 1)),
            [message],
        ]


def test_a_message_may_be_longer_than_what_a_socket_gives_at_once() -> None:
    message = ("begin", 4, '"' + "x" * 1_000_000 + '"', 0)
    data = encode(message)
    decoder = Decoder()
    found = [m for start in range(0, len(data), 65536) for m in decoder.feed(data[start : start + 65536])]
    assert found == [message]


def test_settings_come_out_as_they_went_in() -> None:
    settings = Settings("notify", 2**62 - 1, 1234, "/tmp/\udcff", '"gw0"', ["python", "-c", "pass"])
    (message,) = Decoder().feed(encode(settings.message()))
    assert Settings(*message).message() == settings.message()  # type: ignore[arg-type]
