"""Every bad input of a block or a batch: its own answer, and every other block of the batch untouched."""

from dataclasses import replace

import pytest

from aggregator import testing
from aggregator.commune.registry import Directory
from aggregator.intake.evidence import CONFLICTS_KEPT_MAX
from aggregator.testing import TIME_S, GatewayStandIn, MeterStandIn, ident, key
from commonwatt import cose
from commonwatt.block import AAD, SIGNED_SIZE_MAX
from commonwatt.mqtt import Message
from commonwatt.refusal import Refusal
from commonwatt.registry import Status
from ledger import testing as ledger_testing
from ledger.book.kinds import Subject


def too_large(meter: MeterStandIn) -> bytes:
    """A block one byte above the limit."""
    payload = b"\0" * SIGNED_SIZE_MAX
    size = len(cose.sign1(payload, key(meter.name), AAD))
    return cose.sign1(payload[: 2 * SIGNED_SIZE_MAX + 1 - size], key(meter.name), AAD)


def malformed(meter: MeterStandIn) -> bytes:
    """Not even CBOR inside."""
    return cose.sign1(b"\xff", key(meter.name), AAD)


def not_canonical(meter: MeterStandIn) -> bytes:
    """The version number spelled in two bytes."""
    payload = meter.draft(TIME_S, [(0, 0)]).encode()
    return cose.sign1(payload[:1] + b"\x18\x01" + payload[2:], key(meter.name), AAD)


def unknown(_meter: MeterStandIn) -> bytes:
    """A device that nobody admitted."""
    return MeterStandIn("stranger").sign(TIME_S, [(0,)])


def bad_signature(meter: MeterStandIn) -> bytes:
    """One bit of the signature turned."""
    signed = meter.draft(TIME_S, [(0, 0)]).sign(key(meter.name))
    return signed[:-1] + bytes([signed[-1] ^ 1])


def another_purpose(meter: MeterStandIn) -> bytes:
    """Rightly signed, but not as a block."""
    payload = meter.draft(TIME_S, [(0, 0)]).encode()
    return cose.sign1(payload, key(meter.name), cose.external_aad("command"))


REFUSED = [
    (too_large, Refusal.TOO_LARGE),
    (malformed, Refusal.MALFORMED),
    (not_canonical, Refusal.NOT_CANONICAL),
    (unknown, Refusal.UNKNOWN_DEVICE),
    (bad_signature, Refusal.BAD_SIGNATURE),
    (another_purpose, Refusal.BAD_SIGNATURE),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED, ids=lambda value: getattr(value, "__name__", None))
def test_a_bad_block_is_refused_alone(works, make, reason):
    """Its reason stands in the receipt and in the counts; its neighbours in the batch are kept."""
    good = [works.meters[name].sign(TIME_S, [(0, 0)]) for name in ("ben-main", "sun-main")]
    bad = make(works.meters["ana-main"])
    assert works.deliver(good[0], bad, good[1]) == {1: reason}
    assert works.kept() == good
    assert works.rows(f"SELECT value FROM counter WHERE name = 'refused.{reason.label}'") == [(1,)]


def test_a_revoked_device_is_refused_for_good(works):
    """From the entry that revokes it on; a suspended one is still heard."""
    works.ledger.submit(
        [
            ledger_testing.status(Subject.DEVICE, "ana-main", Status.REVOKED),
            ledger_testing.status(Subject.DEVICE, "ben-main", Status.SUSPENDED),
        ]
    )
    works.intake.directory = Directory.of(works.ledger.state)
    blocks = [works.meters[name].sign(TIME_S, [(0, 0)]) for name in ("ana-main", "ben-main")]
    assert works.deliver(*blocks) == {0: Refusal.REVOKED_DEVICE}


def test_a_replayed_block_is_answered_as_the_first_time(works):
    """The same bytes again, in one batch and in a later one: accepted, counted, kept once."""
    block = works.meters["ana-main"].sign(TIME_S, [(0, 0)])
    assert works.deliver(block, block) == {}
    assert works.deliver(block) == {}
    assert works.kept() == [block]
    assert works.rows("SELECT value FROM counter WHERE name = 'blocks.duplicate'") == [(2,)]


@pytest.mark.engines("sqlite", "postgres")
def test_other_bytes_under_a_known_seq_are_a_conflict(works):
    """Refused and kept as proof beside what they contradict, once; the first block stays."""
    meter, twin = works.meters["ana-main"], testing.meters()["ana-main"]
    block, other = meter.sign(TIME_S, [(0, 0)]), twin.sign(TIME_S, [(5, 0)])
    assert works.deliver(block, other) == {1: Refusal.CONFLICT}
    assert works.deliver(other) == {0: Refusal.CONFLICT}
    assert works.kept() == [block]
    assert works.rows("SELECT signed, evidence_id FROM conflict") == [(other, 1)]


def test_a_forked_chain_is_a_conflict_from_either_side(works):
    """`prev` must name the neighbour that we hold, whichever of the two came first."""
    meter, twin = works.meters["ana-main"], testing.meters()["ana-main"]
    zero, one = meter.sign(TIME_S, [(0, 0)]), meter.sign(TIME_S + 900, [(1, 0)])
    other_zero, other_one = twin.sign(TIME_S, [(5, 0)]), twin.sign(TIME_S + 900, [(6, 0)])
    assert works.deliver(zero, other_one) == {1: Refusal.CONFLICT}
    assert works.deliver(one, other_zero) == {1: Refusal.CONFLICT}
    ben, ben_twin = works.meters["ben-main"], testing.meters()["ben-main"]
    ben.sign(TIME_S, [(0, 0)])
    assert works.deliver(ben.sign(TIME_S + 900, [(1, 0)]), ben_twin.sign(TIME_S, [(9, 0)])) == {1: Refusal.CONFLICT}


def test_a_chain_that_does_not_begin_with_zeros_is_a_conflict(works):
    """Block 0 has nothing before it."""
    meter = works.meters["ana-main"]
    meter.prev = b"\1" * 16
    assert works.deliver(meter.sign(TIME_S, [(0, 0)])) == {0: Refusal.CONFLICT}
    assert works.rows("SELECT evidence_id FROM conflict") == [(None,)]


def test_proof_of_conflicts_is_bounded(works):
    """A device that signs one contradiction after the other cannot fill the disk."""
    works.deliver(works.meters["ana-main"].sign(TIME_S, [(0, 0)]))
    for register_wh in range(1, CONFLICTS_KEPT_MAX + 2):
        twin = testing.meters()["ana-main"]
        assert works.deliver(twin.sign(TIME_S, [(register_wh, 0)])) == {0: Refusal.CONFLICT}
    assert works.rows("SELECT count(*) FROM conflict") == [(CONFLICTS_KEPT_MAX,)]


@pytest.mark.engines("sqlite", "postgres")
def test_a_missing_seq_is_accepted_and_counted_as_missing(works):
    """A gap in the chain is known until the block comes, and forgotten when it does."""
    meter = works.meters["ana-main"]
    first, second, third = [meter.sign(TIME_S + 900 * index, [(index, 0)]) for index in range(3)]
    missing = "SELECT first_seq, last_seq FROM gap"
    assert works.deliver(first, third) == {}
    assert works.rows(missing) == [(1, 1)]
    assert works.deliver(second) == {}
    assert works.rows(missing) == []


def test_a_block_outside_its_values_is_never_refused(works):
    """Backwards, in the future, above the rating: the block is evidence, only the claim waits."""
    meter = works.meters["ana-main"]
    blocks = [
        meter.sign(TIME_S, [(500, 0), (99_999, 0)]),
        meter.sign(TIME_S + 900, [(1, 0)]),
        meter.sign(TIME_S + 10**6 // 900 * 900, [(2, 0)]),
    ]
    assert works.deliver(*blocks) == {}


def dropped_batches(gateway: GatewayStandIn, block: bytes) -> dict[str, Message]:
    """Batches that nobody can be answered for, by the reason that is counted."""
    good = gateway.batch([block])
    other = ledger_testing.GENESIS_SHA256[::-1]
    return {
        "unknown-gateway": GatewayStandIn("stranger").batch([block]),
        "bad-signature": gateway.batch([block], genesis=other),
        "malformed": Message(good.topic, b"\xff"),
        "not-canonical": Message(good.topic, b"\xd2\x98\x04" + good.payload[2:]),
        "too-large": Message(good.topic, b"\0" * (256 * 1024 + 1)),
    }


def test_a_batch_of_nobody_is_dropped_and_counted(works):
    """No receipt, no evidence, and the batches beside it are answered."""
    block = works.meters["ana-main"].sign(TIME_S, [(0, 0)])
    bad = dropped_batches(works.gateway, block)
    good = works.gateway.batch([works.meters["ben-main"].sign(TIME_S, [(0, 0)])])
    assert len(works.intake.take([*bad.values(), good])) == 1
    counted = dict(works.rows("SELECT name, value FROM counter WHERE name LIKE 'batches.dropped.%'"))
    assert counted == {f"batches.dropped.{reason}": 1 for reason in bad}
    assert [row[1] for row in works.evidence()] == [ident("ben-main")]


def test_a_batch_of_a_revoked_gateway_is_dropped(works):
    """Its blocks come again through another one."""
    works.ledger.submit([ledger_testing.status(Subject.GATEWAY, "cupboard", Status.REVOKED)])
    works.intake.directory = Directory.of(works.ledger.state)
    block = works.meters["ana-main"].sign(TIME_S, [(0, 0)])
    assert works.intake.take([works.gateway.batch([block])]) == []


def test_a_batch_under_another_gateways_topic_is_dropped(works):
    """The topic names the key that must have signed."""
    works.ledger.submit([ledger_testing.gateway("attic")])
    works.intake.directory = Directory.of(works.ledger.state)
    batch = works.gateway.batch([works.meters["ana-main"].sign(TIME_S, [(0, 0)])])
    stolen = replace(batch, topic=batch.topic.replace(ident("cupboard").hex(), ident("attic").hex()))
    assert works.intake.take([stolen]) == []
