"""The gate: every gateway its share, nobody's flood at another's cost, memory within its limit."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.receive.gate import GATE_FULL, LANE_FULL, TOO_LARGE, Gate, Limits
from aggregator.testing import COMMUNE, ident
from commonwatt import topics
from commonwatt.mqtt import Delivery
from commonwatt.testing import ManualClock

LARGEST = 256 * 1024
LIMITS = Limits(
    bytes_per_s=1000, bytes_burst=LARGEST, batches_per_s=2, batches_burst=4, lane_batches=8, waiting_bytes_max=LARGEST
)


class Sender:
    """Makes deliveries of gateways and counts which of them the broker was told to forget."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()

    def send(self, name: str, size: int = 10) -> Delivery:
        topic = topics.of_gateway(COMMUNE, ident(name), topics.BATCH)
        return Delivery(topic, bytes(size), lambda: self.done.update([name]))


def names_of(taken: list[Delivery]) -> list[str]:
    known = {ident(name): name for name in ("flood", "ana", "ben")}
    return [known[topics.sender(delivery.topic) or b""] for delivery in taken]


def gate(clock: ManualClock | None = None) -> Gate:
    return Gate(LIMITS, clock or ManualClock(), batch_bytes_max=LARGEST)


def test_a_flood_waits_and_others_have_their_turn_when_one_gateway_sends_too_much():
    """The others' batches leave in the next turn, however many of the flood came before them."""
    clock, sender = ManualClock(), Sender()
    door = gate(clock)
    answers = [door.offer(sender.send("flood")) for _ in range(1000)]
    assert answers == [None] * 8 + [LANE_FULL] * 992
    assert sender.done == {"flood": 992}
    assert door.offer(sender.send("ana")) is None
    assert sorted(names_of(door.take(64))) == ["ana", *["flood"] * 4]  # a burst of four, then it waits
    assert door.take(64) == []
    assert door.depth()["batches"] == 4
    assert door.turned_away == {LANE_FULL: 992}


def test_a_gateway_back_from_an_outage_brings_everything_at_its_rate():
    """What waits is not refused: it leaves as time goes by, and a lane that empties takes more."""
    clock, sender = ManualClock(), Sender()
    door = gate(clock)
    waiting, brought = 40, 0
    while brought < 40 and clock.protocol_s < 100:
        while waiting and door.offer(sender.send("ana")) is None:
            waiting -= 1
        brought += len(door.take(64))
        clock.advance(0.5)
    assert brought == 40
    assert 17 <= clock.protocol_s <= 19  # four at once, then two a second


def test_bytes_count_as_well_as_batches_when_batches_are_large():
    """One batch of a whole burst is let through, the next waits until its bytes are paid."""
    clock, sender = ManualClock(), Sender()
    door = gate(clock)
    assert door.offer(sender.send("ana", LARGEST)) is None
    assert len(door.take(64)) == 1
    door.offer(sender.send("ana", LARGEST // 2))
    assert door.take(64) == []
    clock.advance(1)
    assert len(door.take(64)) == 1
    door.offer(sender.send("ana"))
    clock.advance(LARGEST / 2 / 1000 - 2)
    assert door.take(64) == []
    clock.advance(2)
    assert len(door.take(64)) == 1


def test_the_memory_is_bounded_and_each_reason_named_when_too_much_comes():
    """At the limit all is let in, one byte over it is not; a batch that is too large never is."""
    sender = Sender()
    door = gate()
    assert door.offer(sender.send("ana", LARGEST + 1)) == TOO_LARGE
    assert door.offer(sender.send("ana", LARGEST - 10)) is None
    assert door.offer(sender.send("ben", 10)) is None
    assert not door.has_room(1)
    assert door.offer(sender.send("ben", 1)) == GATE_FULL
    assert sender.done == {"ana": 1, "ben": 1}


def test_turns_are_taken_when_a_commit_has_no_room_for_all():
    """With room for one at a time, two gateways alternate."""
    sender = Sender()
    door = gate()
    for _ in range(3):
        door.offer(sender.send("ana"))
        door.offer(sender.send("ben"))
    turns = [names_of(door.take(1))[0] for _ in range(6)]
    assert sorted(turns[:2]) == sorted(turns[2:4]) == ["ana", "ben"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["flood", "ana", "ben"]), st.integers(0, 3)), max_size=60))
def test_nothing_is_lost_or_doubled_between_offer_and_take(events):
    """Each batch that was let in leaves once, in its gateway's order; what was not let in is told at once."""
    clock, sender = ManualClock(), Sender()
    door = gate(clock)
    let_in: list[Delivery] = []
    taken: list[Delivery] = []
    for name, seconds in events:
        delivery = sender.send(name)
        if door.offer(delivery) is None:
            let_in.append(delivery)
        clock.advance(seconds)
        taken += door.take(2)
    clock.advance(100)
    while more := door.take(64):
        taken += more
        clock.advance(100)
    for name in ("flood", "ana", "ben"):
        of_one = [[id(d) for d in found if names_of([d]) == [name]] for found in (let_in, taken)]
        assert of_one[0] == of_one[1]
    assert door.depth() == {"batches": 0, "bytes": 0, "full_lanes": 0, "oldest_s": 0.0}
