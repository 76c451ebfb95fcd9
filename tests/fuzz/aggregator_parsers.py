"""The parsers that the aggregator puts in front of gateways, devices and councils; the same promises as parsers.py.

Values only: nothing here opens a file or a database.
"""

import csv
import gzip
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cbor2
import numpy as np

from aggregator import settings as aggregator_settings
from aggregator import testing
from aggregator.commune.registry import Directory
from aggregator.commune.roster import Roster
from aggregator.enrolment import confirm
from aggregator.impact import indicators, tables
from aggregator.intake import checking, pipeline
from aggregator.people import facts
from aggregator.policy.rules import DEFAULT_FILE, Policy
from aggregator.privacy import opendata, share
from aggregator.private.store import PrivateStore
from aggregator.settling import reviews
from aggregator.statements import declaring, papers, statement
from aggregator.statements.statement import Statement, Topic
from commonwatt import asked, block, block_columns, cbor, cose, evidence_page, page, settings, topics
from commonwatt.asked import Ask, Asked, Requests
from commonwatt.device_claim import read_claim
from commonwatt.device_label import read_claim_code
from commonwatt.errors import FormatError
from commonwatt.mqtt import Message
from commonwatt.registry import Snapshot
from commonwatt.transport import BATCH_SIZE_MAX, Ack, Batch, Receipt
from ledger import testing as book
from ledger.book import rules
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.book.state import State

sys.path.insert(0, str(Path(__file__).parents[2] / "firmware"))  # the device's own reader, on this Python
from node import asked as firmware_asked

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


def _toml(model: type[settings.Settings]) -> Check:
    def check(data: bytes) -> bool:
        settings.validate(model, settings.parse_toml(_text(data), where="a file"), where="a file")
        return True

    return check


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


def _statement(data: bytes) -> bool:
    assert Statement.parse(data).encode() == data
    return True


def _stated(data: bytes) -> bool:
    """The reason of an entry, whoever wrote it."""
    found = statement.read(SetStatus(Subject.DEVICE, bytes(16), 1, _text(data)))  # type: ignore[arg-type]
    return found is not None


def _handed_in(data: bytes) -> bool:
    """What somebody sends over HTTP; the entry that would hold it gives it back."""
    found = statement.parse_signed(data, bytes(16))
    assert statement.signed_bytes(SetStatus(Subject.DEVICE, bytes(16), 0, statement.reason_of(data))) == data  # type: ignore[arg-type]
    return found.statement.encode() == found.message.payload


def _asked(data: bytes) -> bool:
    """The firmware reads it as we do, or refuses it too."""
    try:
        by_device = firmware_asked._parse(data) if len(data) <= asked.ASKED_SIZE_MAX else None
    except ValueError:
        by_device = None
    try:
        found = Asked.parse(data)
    except FormatError:
        assert by_device is None
        raise
    assert found.encode() == data
    assert by_device == (found.log_size, found.asks)
    return True


def _requests(data: bytes) -> bool:
    assert Requests.parse(data).encode() == data
    return True


def _message(data: bytes) -> bool:
    """A message as a broker hands it over, over MQTT or from a stream: a topic's line, then the batch. What is taken
    from a known gateway is checked block by block, and every block has its verdict."""
    topic, _newline, payload = data.partition(b"\n")
    message = Message(topic.decode("utf-8", "replace"), payload)
    received = pipeline.parse(message, _DIRECTORY, book.GENESIS_SHA256, testing.TIME_S)
    if isinstance(received, str):
        raise FormatError(received, "dropped")
    _verdicts(received.batch.blocks)
    return True


def _lie(data: bytes) -> bool:
    """Blocks that a gateway signed for, cut from anything: it may lie about all of them."""
    blocks = [part for part in data.split(b"\n\n") if part]
    return _verdicts([*blocks, _signed_block()]) > 1


def _verdicts(blocks: list[bytes] | tuple[bytes, ...]) -> int:
    checked = checking.check(blocks, _DIRECTORY.keys)
    assert sorted([*checked.row, *checked.refused]) == list(range(len(blocks)))
    assert len(checked.arrivals) == len(checked.row)
    return len(checked.row)


def _page(data: bytes) -> bool:
    columns = page.decode(data)
    assert len({len(column) for column in columns.values()}) <= 1
    if columns:
        again = page.decode(page.encode(columns))
        assert all(np.array_equal(again[name], column) for name, column in columns.items())
    return True


def _evidence(data: bytes) -> bool:
    """A row of the evidence as somebody else's file has it: three columns, each after its length."""
    lengths = np.frombuffer(data[:12].ljust(12, b"\0"), dtype="<u4")
    ends = 12 + np.cumsum(lengths.astype(np.int64))
    columns = [data[start:end] for start, end in zip([12, *ends], ends, strict=False)]
    found = evidence_page.decode(dict(zip(("places", "sha256", "signed"), columns, strict=True)))
    assert sum(map(len, found.blocks())) == len(found.signed)
    return True


def _evidence_example() -> bytes:
    signed = _signed_block()
    one = np.ones(1, dtype=np.int64)
    ids = evidence_page.octets([bytes(16)])
    hashes = evidence_page.octets([bytes(32)], 32)
    row = evidence_page.Page(ids, ids, *[one] * 5, one * len(signed), hashes, signed).encode()
    columns = [row[name] for name in ("places", "sha256", "signed")]
    return np.array([len(column) for column in columns], dtype="<u4").tobytes() + b"".join(columns)


def _declared_csv(data: bytes) -> bool:
    assert declaring.parse_csv(data, Path("values.csv"))
    return True


def _people_csv(data: bytes) -> bool:
    """What a file says of people, in a store that nobody saves."""
    store = PrivateStore(_NOWHERE / "private.db")
    store.enrol("members", "ana", testing.ident("ana"))
    store.enrol("sites", "ana's", testing.ident("ana's"))
    try:
        lines = list(csv.reader(_text(data).splitlines()))
    except csv.Error as error:
        raise FormatError("malformed", str(error)) from error
    return bool(facts.apply_rows(store, lines, at_s=testing.TIME_S))


def _labels(data: bytes) -> bool:
    terms = {"expires_s": 0, "role": "main", "rated_power_w": 1, "grade": "device"}
    return bool(list(confirm.read_labels(_text(data), where="labels", **terms)))


def _registers(data: bytes) -> bool:
    return bool(share.read_registers(_text(data), where="a file"))


def _totals(data: bytes) -> bool:
    try:
        return bool(list(opendata.parse_totals(data)))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, csv.Error) as error:
        raise FormatError("malformed", str(error)) from error


def _eco2mix(data: bytes) -> bool:
    return bool(tables.parse(data, Path("eco2mix.csv")))


def _packed(data: bytes) -> bool:
    return bool(tables.parse(data, Path("eco2mix.csv.gz")))


def _papers(data: bytes) -> bool:
    papers.parse(data, bytes(32))
    return b'"salt"' in data


def _code(data: bytes) -> bool:
    code = read_claim_code(_text(data))
    assert read_claim_code(code) == code
    return True


def _known() -> Directory:
    """The tests' gateway and a meter, admitted."""
    state = State()
    entries = [book.GENESIS, book.member("ana"), book.site("ana's", "ana")]
    entries += [book.device("ana-main", "ana's"), book.gateway(testing.GATEWAY)]
    for place, data in enumerate(entries):
        answer = rules.apply(state, data, place)
        assert isinstance(answer, State), answer
        state = answer
    return Directory.of(state)


_NOWHERE = Path(tempfile.gettempdir()) / "commonwatt has no private store here"
_DIRECTORY = _known()


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError("malformed", "not UTF-8") from error


def _signed_block() -> bytes:
    return testing.meters()["ana-main"].sign(testing.TIME_S, [(5 * row, row) for row in range(5)])


def _inside(message: bytes) -> bytes:
    return cose.parse1(message, size_max=BATCH_SIZE_MAX).payload


def _sent() -> bytes:
    message = testing.GatewayStandIn().batch([_signed_block(), b"x"])
    return message.topic.encode() + b"\n" + message.payload


def _page_example() -> bytes:
    numbers = {"energy_wh": np.array([1000, 1003, page.UNKNOWN]), "device": np.array([7, 7, 7])}
    return page.encode({**numbers, "id": evidence_page.octets([bytes(16)] * 3)})


_STATEMENT = Statement(Topic.VALUE, "time", bytes(16), 1_721_001_600, 1_721_088_000, 2500)
_HANDED_IN = _STATEMENT.sign(testing.key("ana"), book.GENESIS_SHA256)
_LABEL = b'{"device": "%s", "public_key": "%s", "claim_sha256": "%s"}\n' % (b"0" * 32, b"1" * 64, b"2" * 64)
_ECO2MIX = "Date - Heure;Taux de CO2 (g/kWh)\n2021-12-01T00:00:00+01:00;41\n2021-12-01T00:30:00+01:00;43\n"
_TOTALS = (
    b"start,sites,supply_wh,demand_wh,matched_wh,unallocated_wh,ratio,withheld\n"
    b"2024-07-15T00:00:00Z,12,500,800,500,300,0.625000,\n"
)
_ACCOUNT = b'url = "mqtt://h"\nusername = "a"\npassword = "b"\n'
_AGGREGATOR = b'database = "postgresql://h/d"\n[limits]\nlane_batches = 3\n'
_ROSTER = f"""
[[members]]
name = "Ana"
wallet = "{"5" * 64}"
[[sites]]
name = "Ana's house"
member = "Ana"
[[devices]]
name = "Ana's meter"
site = "Ana's house"
public_key = "{"b" * 64}"
role = "main"
rated_power_w = 9000
grade = "device"
"""
_INDICATOR = """
[[indicators]]
id = "self-consumption"
name = "Self-consumption"
measure = "self_consumption"
baseline = 300
baseline_date = 2026-01-01
target = 400
target_date = 2027-01-01
review_date = 2026-07-01
responsible = "Ana"
"""

PARSERS: dict[str, tuple[Check, tuple[bytes, ...]]] = {
    "batch": (_batch, (_inside(testing.GatewayStandIn().batch([_signed_block(), b"x"]).payload),)),
    "receipt": (_receipt, (Receipt(3, bytes(32)).encode(),)),
    "ack": (_ack, (Ack(3, bytes(32)).encode(),)),
    "registry": (_snapshot, (Snapshot.of(9, []).encode(),)),
    "block-columns": (_columns, (_signed_block(),)),
    "device-claim": (_claim, (_claim_example(),)),
    "policy": (_policy, (testing.POLICY.text.encode(), DEFAULT_FILE.read_bytes())),
    "statement": (_statement, (_STATEMENT.encode(),)),
    "stated": (_stated, (statement.reason_of(_HANDED_IN).encode(),)),
    "handed-in": (_handed_in, (_HANDED_IN,)),
    "asked": (_asked, (Asked(9, (Ask(0, 900, True), Ask(900, 1800, False))).encode(), Asked(0, ()).encode())),
    "requests": (_requests, (Requests(9, b"a", ((b"b", (bytes(16),)),)).encode(), Requests(0, b"", ()).encode())),
    "broker-message": (_message, (_sent(),)),
    "lying-gateway": (_lie, (_signed_block(), b"x\n\n" + _signed_block())),
    "page": (_page, (_page_example(), cbor2.dumps([0, []]))),
    "evidence-page": (_evidence, (_evidence_example(),)),
    "declared-csv": (
        _declared_csv,
        (b'member,kind,amount,on,text,attach\nana,time,2.5,2026-12-01,"weeding, planting",a.jpg;b.jpg\n',),
    ),
    "people-csv": (
        _people_csv,
        (
            b"table,name,id,field,value\nsites,ana's,,installed_wp,3000\nsites,ana's,,tilt_deg,30\nmembers,ana,,consent.statistics,2027-01-01\n",
        ),
    ),
    "labels": (_labels, (_LABEL,)),
    "registers-csv": (_registers, (b"time_s,import_wh,export_wh\n1721001600,5,0\n1721002500,9,0\n",)),
    "totals-csv": (_totals, (_TOTALS,)),
    "eco2mix": (_eco2mix, (_ECO2MIX.encode(),)),
    "eco2mix-gz": (_packed, (gzip.compress(_ECO2MIX.encode(), mtime=0),)),
    "papers": (_papers, (b'{"salt":"00","text":"two hours","files":{"a.jpg":"' + b"0" * 64 + b'"}}',)),
    "claim-code": (_code, (b"4RT6-9KQ2-XM",)),
    "roster": (_toml(Roster), (_ROSTER.encode(),)),
    "indicators": (_toml(indicators.Indicators), (_INDICATOR.encode(),)),
    "account-file": (_toml(aggregator_settings.BrokerSettings), (_ACCOUNT,)),
    "aggregator-toml": (_toml(aggregator_settings.AggregatorSettings), (_AGGREGATOR,)),
    "topic": (_topic, (topics.of_gateway("town", bytes(16), "batch").encode(),)),
    "review": (_review, (b"release 1721001600: the new meter starts at 0", b"reject 0: no")),
}
