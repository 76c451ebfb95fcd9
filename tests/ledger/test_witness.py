"""Witnesses: every answer of the specification, one memory, and nobody who cosigns both sides of a fork."""

import hashlib
import shutil
import sqlite3
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from commonwatt.errors import FormatError
from commonwatt.registry import Status
from commonwatt.testing import ManualClock
from ledger import app, cli, testing
from ledger.audit import verify_since
from ledger.audit.verify import Mode, Report, verify
from ledger.book.body import SetStatus
from ledger.book.kinds import Subject
from ledger.log import checkpoint, merkle, note
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import Signer
from ledger.log.published import COSIGNED, PublishedLog
from ledger.sequencer import Placed
from ledger.witness import client as witness_client
from ledger.witness import cosignature, progress
from ledger.witness import decide as witness
from ledger.witness import policy as tlog_policy
from ledger.witness.client import WitnessAheadError, WitnessClient
from ledger.witness.cosignature import CosigningKey
from ledger.witness.http import Witness, serve
from ledger.witness.policy import TlogPolicy
from ledger.witness.store import WitnessStore

LOG = Signer(testing.ORIGIN, testing.LOG_KEY)
NAMES = ("townhall", "association", "operator")
LEAVES = [merkle.leaf_hash(bytes([i])) for i in range(20)]


def witness_key(name: str) -> CosigningKey:
    return CosigningKey(f"{name}.example/witness", testing.key(f"witness {name}"))


@dataclass
class Running:
    """A witness on a real socket, with its memory on a disk."""

    judge: Witness
    url: str

    def post(self, body: bytes) -> tuple[int, str, str]:
        try:
            with urllib.request.urlopen(self.url + "/add-checkpoint", data=body, timeout=10) as answer:
                return answer.status, answer.read().decode(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers["Content-Type"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], Running]]:
    """Start a witness by name; all are stopped at the end."""
    servers, stores, threads = [], [], []

    def run(name: str) -> Running:
        store = WitnessStore(tmp_path / "witnesses" / f"{name}.db")
        judge = Witness(key=witness_key(name), logs=[LOG.verifier], store=store, clock=ManualClock())
        server = serve("127.0.0.1", 0, judge)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append(server)
        stores.append(store)
        threads.append(thread)
        return Running(judge, f"http://127.0.0.1:{server.server_address[1]}")

    yield run
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()
    for store in stores:
        store.close()


def head(size: int, leaves: list[bytes] = LEAVES, signer: Signer = LOG) -> bytes:
    return Checkpoint(signer.name, size, merkle.root(leaves[:size])).sign(signer)


def ask(old: int, new: int, leaves: list[bytes] = LEAVES) -> bytes:
    proof = merkle.prove(leaves[:new], merkle.consistency_ranges(old, new))
    return witness.encode_request(old, proof, head(new, leaves))


def test_checkpoint_when_the_log_only_grows(start: Callable[[str], Running]) -> None:
    """Each growth is cosigned, the same head again too, and the line verifies under the witness's key."""
    running = start("townhall")
    for old, new in [(0, 3), (3, 3), (3, 8), (8, 20)]:
        status, line, _ = running.post(ask(old, new))
        assert status == 200
        signed = note.parse(head(new) + line.encode())
        cosigner = witness_key("townhall").cosigner
        assert cosignature.times_s(signed, [cosigner]) == {cosigner: int(ManualClock().now_s())}


def test_checkpoint_when_monitored(start: Callable[[str], Running]) -> None:
    """The latest cosigned head is there for monitors, with both signatures and nothing of strangers."""
    running = start("townhall")
    stranger = note.sign("x\n", Signer("stranger", testing.key("stranger"))).rpartition("\n\n")[2]
    assert running.post(ask(0, 3) + stranger.encode())[0] == 200
    origin = hashlib.sha256(testing.ORIGIN.encode()).hexdigest()
    with urllib.request.urlopen(f"{running.url}/{origin}/checkpoint", timeout=10) as answer:
        signed = note.parse(answer.read())
    assert checkpoint.parse(signed.text).size == 3
    assert [line.name for line in signed.signatures] == [testing.ORIGIN, "townhall.example/witness"]


STRANGER = Signer("other.example/log", testing.key("other"))
IMPOSTOR = Signer(testing.ORIGIN, testing.key("impostor"))
FORK = [*LEAVES[:5], merkle.leaf_hash(b"forked"), *LEAVES[6:]]


def broken(signed: bytes) -> bytes:
    """The log's line under another text."""
    return note.parse(head(9)).text.encode() + b"\n" + signed.rpartition(b"\n\n")[2]


ANSWERS = {
    "not-a-request": (b"hello", 400),
    "leading-zero": (b"old 08\n\n" + head(8), 400),
    "hash-of-31-bytes": (b"old 8\n" + b"A" * 40 + b"AA==\n\n" + head(8), 400),
    "64-hashes": (b"old 8\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 63 + b"\n" + head(8), 400),
    "not-a-checkpoint": (b"old 8\n\nhello\n", 400),
    "unknown-log": (witness.encode_request(8, [], head(8, signer=STRANGER)), 404),
    "unknown-log-and-backwards": (witness.encode_request(9, [], head(8, signer=STRANGER)), 404),
    "unsigned-by-the-log": (witness.encode_request(8, [], head(8, signer=IMPOSTOR)), 403),
    "signature-fails": (witness.encode_request(8, [], broken(head(8))), 403),
    "signature-fails-and-backwards": (witness.encode_request(99, [], broken(head(8))), 403),
    "backwards": (witness.encode_request(9, [], head(8)), 400),
    "smaller-tree": (ask(3, 7), 409),
    "from-zero": (ask(0, 20), 409),
    "same-size-another-root": (witness.encode_request(8, [], head(8, FORK)), 422),
    "fork": (ask(8, 20, FORK), 422),
    "no-proof": (witness.encode_request(8, [], head(20)), 422),
    "proof-with-equal-sizes": (witness.encode_request(8, LEAVES[:1], head(8)), 422),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answer_when_it_is_refused(start: Callable[[str], Running], name: str) -> None:
    """After size 8 each wrong request has the status of the specification, and nothing is forgotten."""
    running = start("townhall")
    assert running.post(ask(0, 8))[0] == 200
    body, expected = ANSWERS[name]
    status, text, content_type = running.post(body)
    assert status == expected
    if expected == 409:
        assert (text, content_type) == ("8\n", "text/x.tlog.size")
    assert running.post(ask(8, 20))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        witness.encode_request(0, [], Checkpoint(testing.ORIGIN, 0, bytes(32)).sign(LOG)),
        witness.encode_request(0, LEAVES[:1], head(3)),
    ],
)
def test_first_answer_when_nothing_was_seen(start: Callable[[str], Running], body: bytes) -> None:
    """An empty tree with a root, and a proof from the empty tree, are unprocessable."""
    assert start("townhall").post(body)[0] == 422


def test_answer_when_the_memory_fails(start: Callable[[str], Running], tmp_path: Path) -> None:
    """A witness that cannot remember does not cosign: 500, and no signature leaves it."""
    running = start("townhall")
    assert running.post(ask(0, 3))[0] == 200
    connection = sqlite3.connect(tmp_path / "witnesses" / "townhall.db", isolation_level=None)
    connection.execute("CREATE TRIGGER broken BEFORE UPDATE ON head BEGIN SELECT RAISE(ABORT, 'disk'); END")
    status, text, _ = running.post(ask(3, 8))
    assert (status, "—" in text) == (500, False)
    connection.execute("DROP TRIGGER broken")
    connection.close()
    assert running.post(ask(3, 8))[0] == 200


def test_memory_when_two_are_faster(tmp_path: Path) -> None:
    """Of two requests that were judged against the same memory only one is cosigned: compare-and-swap."""
    with WitnessStore(tmp_path / "w.db") as one, WitnessStore(tmp_path / "w.db") as two:
        empty, three, five = witness.Remembered(), *(witness.Remembered(n, LEAVES[n]) for n in (3, 5))
        assert one.swap("log", empty, three, b"3")
        assert not two.swap("log", empty, five, b"5")
        assert two.last("log") == three
        assert two.swap("log", three, five, b"5")
        assert not one.swap("log", three, witness.Remembered(4, LEAVES[4]), b"4")
        assert one.checkpoint("log") == b"5"


def policy_of(witnesses: dict[str, str], k: int = 2) -> TlogPolicy:
    lines = [f"log {LOG.verifier}"]
    lines += [f"witness {name} {witness_key(name).cosigner} {url}" for name, url in witnesses.items()]
    lines += [f"group commune {k} {' '.join(witnesses)}", "quorum commune", ""]
    return tlog_policy.parse("\n".join(lines))


def test_client_when_one_witness_is_away(start: Callable[[str], Running], tmp_path: Path) -> None:
    """Two of three are a quorum; the cosigned checkpoint is written, and the log still verifies with it."""
    urls = {name: start(name).url for name in NAMES[:2]} | {"operator": "http://127.0.0.1:9"}
    policy = policy_of(urls)
    with testing.village(tmp_path / "c", "ana", "ben") as ledger:
        client = WitnessClient(root=tmp_path / "c" / "log", log_key=LOG.verifier, policy=policy)
        for window in range(3):
            testing.mint(ledger, [testing.earned("ana", 900, 100, window=window)], run=f"{window}", window=window)
            ledger.publish()
            done = client.ask_all()
            assert done.is_met
            assert done.cosigned == ["townhall", "association"]
            assert list(done.failed) == ["operator"]
            told = progress.read(tmp_path / "c" / "log")
            assert {row.entries for name, row in told.items() if row.cosigned_s} == {done.head.size}
            assert told["operator"] == progress.Followed(refused={"unreachable": window + 1})
    data = (tmp_path / "c" / "log" / COSIGNED).read_bytes()
    witnessed = tlog_policy.open_witnessed(data, LOG.verifier, policy)
    assert witnessed.checkpoint == done.head
    log = tmp_path / "c" / "log"
    assert verify(log, LOG.verifier, mode=Mode.AUDIT, policy=policy).is_good
    (line, _) = verify(log, LOG.verifier, mode=Mode.AUDIT).problems
    assert (line.file, "--policy" in line.what) == (COSIGNED, True)
    with pytest.raises(FormatError, match="quorum-not-reached"):
        tlog_policy.open_witnessed(data, LOG.verifier, policy_of(urls, k=3))


def test_client_when_the_quorum_is_not_met(start: Callable[[str], Running], tmp_path: Path) -> None:
    """With one witness of three nothing is written."""
    policy = policy_of({"townhall": start("townhall").url, "a": "http://127.0.0.1:9", "b": "http://127.0.0.1:9"})
    with testing.village(tmp_path / "c", "ana") as ledger:
        ledger.publish()
    client = WitnessClient(root=tmp_path / "c" / "log", log_key=LOG.verifier, policy=policy)
    assert not client.ask_all().is_met
    assert not (tmp_path / "c" / "log" / COSIGNED).exists()


def test_fork_when_both_sides_ask(start: Callable[[str], Running], tmp_path: Path) -> None:
    """One log key, two histories of one beginning: whichever comes second is cosigned by nobody."""
    policy = policy_of({name: start(name).url for name in NAMES})
    clients = []
    for side, payee in (("one", "ben"), ("two", "eve")):
        with testing.village(tmp_path / side, "ana", "ben", "eve") as ledger:
            testing.mint(ledger, [testing.earned("ana", 900)])
            ledger.publish()
            ledger.submit([testing.pay("ana", payee, 5)])
            ledger.publish()
        clients.append(WitnessClient(root=tmp_path / side / "log", log_key=LOG.verifier, policy=policy))
    assert clients[0].ask_all().cosigned == list(NAMES)
    with pytest.raises(WitnessAheadError, match="another tree"):
        clients[1].ask_all()
    assert not (tmp_path / "two" / "log" / COSIGNED).exists()


def test_client_when_a_witness_is_ahead(start: Callable[[str], Running], tmp_path: Path) -> None:
    """A restored backup is told so by name and size, by who asks and by who merely looks."""
    urls = {name: start(name).url for name in NAMES}
    policy = policy_of(urls)
    for side, payments in (("new", 2), ("backup", 1)):
        with testing.village(tmp_path / side, "ana", "ben") as ledger:
            testing.mint(ledger, [testing.earned("ana", 900)])
            ledger.submit([testing.pay("ana", "ben", 5, memo=str(i)) for i in range(payments)])
            ledger.publish()
    WitnessClient(root=tmp_path / "new" / "log", log_key=LOG.verifier, policy=policy).ask_all()
    with pytest.raises(WitnessAheadError, match="townhall has cosigned 9 entries, this ledger has 8"):
        WitnessClient(root=tmp_path / "backup" / "log", log_key=LOG.verifier, policy=policy).ask_all()
    assert progress.read(tmp_path / "backup" / "log")["townhall"].refused == {"ahead": 1}
    with pytest.raises(WitnessAheadError, match="older copy"):
        witness_client.check_none_is_ahead(policy, LOG.verifier, 8, tmp_path)
    witness_client.check_none_is_ahead(policy, LOG.verifier, 9, tmp_path)


def test_verify_when_a_byte_of_the_cosigned_head_is_flipped(start: Callable[[str], Running], tmp_path: Path) -> None:
    """Every byte of the cosigned checkpoint counts, those of the witnesses' lines too."""
    policy = policy_of({name: start(name).url for name in NAMES})
    with testing.village(tmp_path / "c", "ana") as ledger:
        ledger.publish()
    log = tmp_path / "c" / "log"
    assert WitnessClient(root=log, log_key=LOG.verifier, policy=policy).ask_all().is_met
    data = (log / COSIGNED).read_bytes()
    for at in range(len(data)):
        (log / COSIGNED).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        problems = verify(log, LOG.verifier, mode=Mode.PUBLIC, policy=policy).problems
        assert {problem.file for problem in problems} == {COSIGNED}, f"byte {at}"


def test_ledger_when_a_witness_is_ahead_at_the_start(
    start: Callable[[str], Running], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The ledger of a restored backup is not opened for writing."""
    policy_text = "\n".join(
        [f"log {LOG.verifier}", f"witness w {witness_key('w').cosigner} {start('w').url}", "quorum w", ""]
    )
    with testing.village(tmp_path / "c", "ana") as ledger:
        backup = Path(shutil.copytree(tmp_path / "c", tmp_path / "backup"))
        ledger.submit([testing.member("ben")])
        ledger.publish()
    (backup / "witnesses.policy").write_text(policy_text)
    policy = app.load_witnesses(backup)
    assert policy is not None
    app.open_parts(backup, LOG).close()  # nobody has seen this log yet: nothing to say
    assert caplog.records == []
    WitnessClient(root=tmp_path / "c" / "log", log_key=LOG.verifier, policy=policy).ask_all()
    with pytest.raises(WitnessAheadError, match="w has cosigned 5 entries, this ledger has 4"):
        app.open_parts(backup, LOG)


def test_verify_when_the_policy_lies_beside_the_key(start: Callable[[str], Running], tmp_path: Path) -> None:
    """Who keeps both together, as a commune and its backup do, is not told of unknown lines; a bad one is found."""
    url = start("w").url
    text = f"log {LOG.verifier}\nwitness w {witness_key('w').cosigner} {url}\nquorum w\n"
    with testing.village(tmp_path / "c", "ana") as ledger:
        ledger.publish()
    (tmp_path / "c" / "witnesses.policy").write_text(text)
    command = ["verify", str(tmp_path / "c"), "--vkey", str(tmp_path / "c" / "log.vkey")]
    assert CliRunner().invoke(cli.app, command).exit_code == 0, "nobody has cosigned yet"
    policy = app.load_witnesses(tmp_path / "c")
    assert policy is not None
    log = tmp_path / "c" / "log"
    assert WitnessClient(root=log, log_key=LOG.verifier, policy=policy).ask_all().is_met
    assert CliRunner().invoke(cli.app, command).exit_code == 0
    assert CliRunner().invoke(cli.app, [*command, "--mode", "audit"]).exit_code == 0
    (log / COSIGNED).write_bytes((log / "checkpoint").read_bytes())
    assert CliRunner().invoke(cli.app, command).exit_code == 1, "the quorum's lines were taken out"


REVOKING = SetStatus(Subject.WITNESS, testing.ident("w"), Status.REVOKED, "moved away")


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([testing.witness("other")], None),
        ([testing.witness("w")], None),
        ([testing.witness("w"), testing.signed(REVOKING, "steward", "townhall")], "is revoked in the log"),
        (
            [
                testing.witness("w"),
                testing.rotation(Subject.WITNESS, testing.ident("w"), "w2", "steward", "townhall"),
            ],
            "has another key in the log",
        ),
    ],
)
def test_audit_when_the_log_has_withdrawn_a_witness(tmp_path: Path, entries: list[bytes], why: str | None) -> None:
    """A policy that still counts on them is named; a witness whom the log never admitted is its own affair."""
    key = CosigningKey("w.example/witness", testing.key("w"))
    text = f"log {LOG.verifier}\nwitness w {key.cosigner}\nquorum w\n"
    with testing.village(tmp_path / "c", "ana") as ledger:
        assert all(isinstance(answer, Placed) for answer in ledger.submit(entries))
        head = ledger.publish()
    log = tmp_path / "c" / "log"
    (log / COSIGNED).write_text((log / "checkpoint").read_text() + key.cosign(head.text(), testing.TIME_S))
    (tmp_path / "policy").write_text(text)
    command = ["verify", str(log), "--vkey", str(tmp_path / "c" / "log.vkey"), "--policy", str(tmp_path / "policy")]
    found = CliRunner().invoke(cli.app, [*command, "--mode", "audit"])
    assert found.exit_code == (0 if why is None else 1), found.output
    assert why is None or f"w: the policy counts on this witness, who {why}" in found.output


MALFORMED_POLICIES = {
    "no-quorum": "",
    "two-quorums": "quorum none\nquorum none\n",
    "quorum-undefined": "quorum g\n",
    "group-of-undefined": "group g 1 w\nquorum g\n",
    "group-of-none": "group g 1 none\nquorum g\n",
    "k-zero": "{w}group g 0 w\nquorum g\n",
    "k-above": "{w}group g 2 w\nquorum g\n",
    "k-with-leading-zero": "{w}group g 01 w\nquorum g\n",
    "member-twice": "{w}group g 1 w w\nquorum g\n",
    "member-of-two-groups": "{w}group g 1 w\ngroup h 1 w\nquorum g\n",
    "name-twice": "{w}group w 1 w\nquorum w\n",
    "key-twice": "{w}witness v {vkey}\nquorum w\n",
    "witness-with-a-log-key": "witness w {log}\nquorum w\n",
    "log-with-a-witness-key": "log {vkey}\nquorum none\n",
    "unknown-word": "mirror x\nquorum none\n",
    "control-character": "quorum none\r\n",
}


@pytest.mark.parametrize("name", MALFORMED_POLICIES)
def test_policy_when_malformed(name: str) -> None:
    """A policy that could be read in two ways is not read at all."""
    vkey = witness_key("w").cosigner
    text = MALFORMED_POLICIES[name].format(w=f"witness w {vkey}\n", vkey=vkey, log=LOG.verifier)
    with pytest.raises(FormatError, match="malformed"):
        tlog_policy.parse(text)


def test_policy_when_groups_are_nested() -> None:
    """The example of the specification: two of three X, any of three Y, and both groups; comments and tabs."""
    keys = {name: witness_key(name).cosigner for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")}
    lines = ["# example", *(f"\twitness {name}  {key}" for name, key in keys.items())]
    lines += ["group X 2 X1 X2 X3", "group Y any Y1 Y2 Y3", "group both all X Y", "quorum both", ""]
    policy = tlog_policy.parse("\n".join(lines))
    for names, expected in [("X1 X2 Y3", True), ("X1 X2", False), ("X1 Y1 Y2 Y3", False), ("", False)]:
        assert policy.is_met([keys[name] for name in names.split()]) is expected


def test_audit_when_it_goes_on_with_a_policy(start: Callable[[str], Running], tmp_path: Path) -> None:
    """`verify --since` with `--policy` asks for the quorum too: a head that nobody cosigned is not good."""
    log = tmp_path / "c" / "log"
    with testing.village(tmp_path / "c", "ana", "ben") as ledger:
        ledger.publish()
        state = verify(log, LOG.verifier, mode=Mode.AUDIT).state
        assert state is not None
        verify_since.save(tmp_path / "audit", verify_since.Saved((log / "checkpoint").read_bytes(), state))
        ledger.submit([testing.member("eve")])
        ledger.publish()
    text = f"log {LOG.verifier}\nwitness w {witness_key('w').cosigner} {start('w').url}\nquorum w\n"
    policy = tlog_policy.parse(text)

    def audit() -> Report:
        saved = verify_since.load(tmp_path / "audit")
        return verify_since.verify_since(PublishedLog(log), LOG.verifier, saved, policy)

    (problem,) = audit().problems
    assert problem.file == COSIGNED
    assert WitnessClient(root=log, log_key=LOG.verifier, policy=policy).ask_all().is_met
    report = audit()
    assert report.is_good, report.problems
    assert report.state is not None
    assert report.state.size == 6
