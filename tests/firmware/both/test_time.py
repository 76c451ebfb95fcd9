"""Whom a device believes about the time, and what it makes of readings from before it knew."""

from node import cbor, timesync
from node.ed25519 import SigningKey
from node.timesync import GatewayTime, LearntClock
from node.undated import READINGS_MAX, Undated

from neutral import raises, vectors

T = 1721001600
DAY_MS = 86_400_000


class Ticks:
    """Ticks that a test moves."""

    def __init__(self):
        self.ms = 5000

    def __call__(self):
        return self.ms


def test_clock_when_a_server_lies_by_a_day():
    """The lie is refused and counted, in both directions; the clock goes on as it was."""
    ticks = Ticks()
    clock = LearntClock(T, ticks)
    assert not clock.synchronised
    assert not clock.learn((T - 1) * 1000, False)
    assert clock.learn((T + 50) * 1000, False)
    for lie_ms in (DAY_MS, -DAY_MS):
        assert not clock.learn((T + 50) * 1000 + lie_ms, False)
    ticks.ms += 1500
    assert clock.now_ms() == (T + 50) * 1000 + 1500
    assert clock.refused == 3
    assert clock.learn((T + 50) * 1000, False)
    assert (clock.step_s, clock.now_s(), clock.wall_ms_until(T + 60)) == (-2, T + 50, 10_000)


def test_clock_when_the_gateway_overrules_a_server():
    """A signed time corrects a first lie by any difference, but never goes before what was journaled."""
    clock = LearntClock(T, Ticks())
    clock.learn(T * 1000 + DAY_MS, False)
    assert clock.learn((T + 10) * 1000, True)
    assert not clock.learn((T - 1) * 1000, True)
    assert not clock.learn(T * 1000 + DAY_MS, False)
    assert clock.now_s() == T + 10


def test_clock_when_a_server_lies_at_boot():
    """Where a gateway signs, an unsigned time far after the last sample waits for the gateway's word."""
    clock = LearntClock(T, Ticks(), 43_200)
    assert not clock.learn(T * 1000 + DAY_MS, False)
    assert not clock.synchronised
    assert clock.learn(T * 1000 + 43_200_000, False)
    clock = LearntClock(T, Ticks(), 43_200)
    assert clock.learn(T * 1000 + 9 * DAY_MS, True)


def test_gateway_time_of_every_vector():
    """An answer counts if it is canonical, signed by the gateway and to the last question."""
    data = vectors("time.json")
    key = bytes.fromhex(data["public_key"])
    for vector in data["answers"]:
        ticks = Ticks()
        clock = LearntClock(0, ticks)
        gateway = GatewayTime(clock, key, lambda size: bytes.fromhex(data["nonce"])[:size], ticks)
        assert gateway.request().hex() == data["nonce"]
        ticks.ms += 400
        assert gateway.on_answer(bytes.fromhex(vector["signed"])) == vector["believed"], vector["name"]
        assert gateway.refused == (not vector["believed"])
        if vector["believed"]:
            assert clock.now_ms() == 1000 * data["time_s"] + 200
            assert not gateway.on_answer(bytes.fromhex(vector["signed"]))  # the question is answered


def test_gateway_time_when_the_answer_is_too_late():
    """An answer that was held back could be any time ago: it is refused."""
    data = vectors("time.json")
    ticks = Ticks()
    gateway = GatewayTime(
        LearntClock(0, ticks), bytes.fromhex(data["public_key"]), lambda size: bytes.fromhex(data["nonce"]), ticks
    )
    gateway.request()
    ticks.ms += timesync.ROUND_TRIP_MS_MAX + 1
    assert not gateway.on_answer(bytes.fromhex(data["answers"][0]["signed"]))


def test_undated_when_the_time_is_learnt():
    """Readings near a slot's beginning become its samples, once; the others are not dated by guessing."""
    undated = Undated()
    for second in range(0, 40, 5):
        undated.add(1000 * second, [(1, second)])
    now_s = T + 920  # now, at 40 s of ticks, so that the reading at 20 s is the slot's
    assert undated.dated(now_s, 40_000, 900, 10) == [(T + 900, ((1, 20),))]
    assert undated.dated(now_s, 40_000, 900, 10) == []


def test_undated_when_full():
    """Memory is bounded: the oldest reading goes and is counted."""
    undated = Undated()
    for number in range(READINGS_MAX + 1):
        undated.add(number, [(1, number)])
    assert undated.dropped == 1


def test_sntp_answer_when_it_is_none():
    """Another cookie, a kiss of death, an unsynchronised server, a short packet: refused; 2036 is survived."""
    from node import sntp

    cookie = b"8 bytes!"
    good = b"\x24\x02" + bytes(22) + cookie + bytes(8) + (T + 2208988800).to_bytes(4, "big") + b"\x80\x00\x00\x00"
    assert sntp.parse(good, cookie) == T * 1000 + 500
    late = good[:40] + (5).to_bytes(4, "big") + bytes(4)
    assert sntp.parse(late, cookie) == ((1 << 32) + 5 - 2208988800) * 1000
    for bad in (
        good[:47],
        b"\xe4" + good[1:],
        good[:1] + b"\x00" + good[2:],
        good[:1] + b"\x10" + good[2:],
        good[:24] + b"another!" + good[32:],
        b"\x23" + good[1:],
    ):
        assert raises(ValueError, sntp.parse, bad, cookie)


def test_key_of_the_vectors():
    """The vectors' key is the one that the specification's reader can make again."""
    data = vectors("time.json")
    assert SigningKey(bytes.fromhex(data["seed"])).public_key.hex() == data["public_key"]
    assert cbor.decode(bytes.fromhex(data["payload"])) == [1, bytes.fromhex(data["nonce"]), data["time_s"]]
