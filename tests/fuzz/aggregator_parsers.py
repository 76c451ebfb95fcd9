"""The parsers that the aggregator puts in front of gateways, devices and councils; the same promises as parsers.py.

Values only: nothing here opens a file or a database.
"""

from collections.abc import Callable

from aggregator import settings as aggregator_settings
from aggregator import testing
from aggregator.policy.rules import DEFAULT_FILE, Policy
from aggregator.settling import reviews
from commonwatt import block, block_columns, cbor, cose, settings, topics
from commonwatt.device_claim import read_claim
from commonwatt.errors import FormatError
from commonwatt.registry import Snapshot
from commonwatt.transport import BATCH_SIZE_MAX, Ack, Batch, Receipt
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject

Check = Callable[[bytes], bool]


def _batch(data: bytes) -> bool:
    assert Batch.parse(data).encode() == data
    return True


def _receipt(data: bytes) -> bool:
    receipt = Receipt.parse(data)
    assert Receipt.parse(receipt.encode()) == receipt
    return True


def _ack(data: bytes) -> bool:
    assert Ack.parse(data).encode() == data
    return True


def _snapshot(data: bytes) -> bool:
    assert Snapshot.parse(data).encode() == data
    return True


def _claim(data: bytes) -> bool:
    read_claim(data, testing.ident("hall"))
    return True


def _claim_example() -> bytes:
    key = testing.key("hall")
    claim = cbor.encode([1, testing.ident("hall"), key.public_key, testing.ident("ana"), bytes([7]) * 32])
    return cose.sign1(claim, key, cose.external_aad("claim"))


def _columns(data: bytes) -> bool:
    """What is read by the thousand is what is read alone; what is unusual is left to the reader of one."""
    read, others = block_columns.read([data])
    if others:
        assert others == [0]
        return False
    alone = block.parse(cose.parse1(data, size_max=block.SIGNED_SIZE_MAX).payload)
    (columns,) = read
    assert (int(columns.seq[0]), columns.prev[0].tobytes()) == (alone.seq, alone.prev)
    assert (int(columns.start_s[0]), int(columns.step_s[0])) == (alone.start_s, alone.step_s)
    assert columns.quantities == tuple(channel.quantity for channel in alone.channels)
    assert columns.energy_wh[0].T.tolist() == [list(registers_wh) for _time_s, registers_wh in alone.readings()]
    return True


def _policy(data: bytes) -> bool:
    text = _text(data)
    assert Policy.parse(text, where="a policy").text == text
    return True


def _limits(data: bytes) -> bool:
    table = settings.parse_toml(_text(data), where="aggregator.toml")
    settings.validate(aggregator_settings.AggregatorSettings, table, where="aggregator.toml")
    return True


def _topic(data: bytes) -> bool:
    topic = _text(data)
    sender, parties = topics.sender(topic), topics.claim_parties(topic)
    assert sender is None or len(sender) == 16
    assert parties is None or all(len(party) == 16 for party in parties)
    return sender is not None or parties is not None


def _review(data: bytes) -> bool:
    status = SetStatus(Subject.DEVICE, bytes(16), 1, _text(data))  # type: ignore[arg-type]
    found = reviews.read(7, status)
    if found is not None:
        assert reviews.text_of(found.start_s, is_granted=found.is_granted, reason=found.reason) == status.reason
    return found is not None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("malformed", "not UTF-8") from error


def _signed_block() -> bytes:
    return testing.meters()["ana-main"].sign(testing.TIME_S, [(5 * row, row) for row in range(5)])


def _inside(message: bytes) -> bytes:
    return cose.parse1(message, size_max=BATCH_SIZE_MAX).payload


PARSERS: dict[str, tuple[Check, tuple[bytes, ...]]] = {
    "batch": (_batch, (_inside(testing.GatewayStandIn().batch([_signed_block(), b"x"]).payload),)),
    "receipt": (_receipt, (Receipt(3, bytes(32)).encode(),)),
    "ack": (_ack, (Ack(3, bytes(32)).encode(),)),
    "registry": (_snapshot, (Snapshot.of(9, []).encode(),)),
    "block-columns": (_columns, (_signed_block(),)),
    "device-claim": (_claim, (_claim_example(),)),
    "policy": (_policy, (testing.POLICY.text.encode(), DEFAULT_FILE.read_bytes())),
    "aggregator-toml": (_limits, (b'database = "postgresql://h/d"\n[limits]\nlane_batches = 3\n',)),
    "topic": (_topic, (topics.of_gateway("town", bytes(16), "batch").encode(),)),
    "review": (_review, (b"release 1721001600: the new meter starts at 0", b"reject 0: no")),
}
