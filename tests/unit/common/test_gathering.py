"""When a step is due, and how much it takes."""

from common.bus import Message
from common.contracts.control import tick_record
from common.stream.gathering import CONTROL_SECONDS, GATHER_SECONDS, STEP_BYTES, Gathering


def message(value: bytes = b"[]") -> Message:
    return Message("usage.events", 0, 0, 0, True, b"edge", value)


def control() -> Message:
    tick = tick_record()
    return Message("usage.events", 0, 0, 0, True, tick.key, tick.value, tick.headers)


def gathering(now: float = 100.0) -> Gathering:
    return Gathering(now, idle_seconds=3.0, messages_max=10)


def test_after_a_rest_data_are_stepped_at_once() -> None:
    waiting = gathering()
    waiting.take([message()])
    assert waiting.seconds_left(100.0) == 0.0


def test_data_wait_eight_times_as_long_as_the_last_step_took() -> None:
    waiting = gathering()
    waiting.stepped(100.0, 100.01)
    waiting.take([message()])
    assert abs(waiting.seconds_left(100.02) - 0.07) < 1e-6
    assert waiting.seconds_left(100.09) == 0.0


def test_data_never_wait_longer_than_the_limit() -> None:
    waiting = gathering()
    waiting.stepped(100.0, 130.0)
    waiting.take([message()])
    assert waiting.seconds_left(130.0) == GATHER_SECONDS
    patient = Gathering(100.0, idle_seconds=3.0, messages_max=10, gather_seconds=2.0)
    patient.stepped(100.0, 130.0)
    patient.take([message()])
    assert patient.seconds_left(130.0) == 2.0


def test_a_full_step_does_not_wait() -> None:
    waiting = gathering()
    waiting.stepped(100.0, 100.4)
    waiting.take([message()] * 9)
    assert (waiting.room, waiting.seconds_left(100.4) > 0) == (1, True)
    waiting.take([message()])
    assert waiting.seconds_left(100.4) == 0.0
    waiting.stepped(100.4, 100.8)
    assert waiting.room == 10
    waiting.take([message(bytes(STEP_BYTES))])
    assert waiting.seconds_left(100.8) == 0.0


def test_control_records_alone_wait_for_company_and_nothing_for_the_tick() -> None:
    waiting = gathering()
    assert waiting.seconds_left(100.0) == 3.0
    waiting.take([control()])
    assert abs(waiting.seconds_left(100.0) - CONTROL_SECONDS) < 1e-6
    assert not waiting.has_data


def test_what_no_clock_can_tell_is_not_waited_for() -> None:
    waiting = gathering(1e9)
    waiting.stepped(1e9 - 30, 1e9)
    waiting.take([message()])
    assert waiting.seconds_left(1e9 + GATHER_SECONDS - 1e-7) == 0.0
