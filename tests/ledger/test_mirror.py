"""A log on any static web server: mirrored, verified from afar, audited onwards from where the last audit ended."""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cbor2
import pytest

from commonwatt.errors import FormatError, UserError
from ledger import testing
from ledger.audit import saved_state, verify_since
from ledger.audit.mirror import HttpLog, mirror, open_log
from ledger.audit.verify import Mode, verify
from ledger.audit.verify_since import Saved
from ledger.log.note import Signer
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, TileName
from ledger.sequencer import Sequencer

LOG = Signer(testing.ORIGIN, testing.LOG_KEY).verifier


class Quiet(SimpleHTTPRequestHandler):
    """The standard library's static files, without a line for each."""

    def log_message(self, *_: object) -> None:
        pass


class Overloaded(Quiet):
    """A server that has no time for entry bundles just now."""

    def do_GET(self) -> None:
        if "/tile/entries/" in self.path:
            self.send_error(503)
        else:
            super().do_GET()


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Serve a directory as static files; answers its address."""
    running = []

    def start(directory: Path, handler: type[Quiet] = Quiet) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory)))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/log"

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def grow(ledger: Sequencer, windows: range) -> None:
    for window in windows:
        testing.mint(ledger, [testing.earned("ana", 900, 100, window=window)], run=f"run {window}", window=window)
        ledger.submit([testing.pay("ana", "ben", 10, memo=str(window))])
    ledger.publish()


@pytest.fixture
def commune(tmp_path: Path) -> Iterator[Sequencer]:
    """A ledger of 305 entries, open."""
    with testing.village(tmp_path / "commune", "ana", "ben") as ledger:
        grow(ledger, range(100))
        yield ledger


def test_mirror_when_the_log_grows(commune: Sequencer, tmp_path: Path, serve: Callable[[Path], str]) -> None:
    """The copy verifies, goes on where it stopped, and fetches only what is new."""
    url, copy = serve(tmp_path / "commune"), tmp_path / "copy"
    first = mirror(HttpLog(url), copy, LOG)
    assert (first.before, first.head.size) == (0, 305)
    assert verify(copy, LOG, mode=Mode.AUDIT).is_good
    assert mirror(HttpLog(url), copy, LOG).files == 0
    grow(commune, range(100, 200))
    again = mirror(HttpLog(url), copy, LOG)
    assert (again.before, again.head.size) == (305, 605)
    assert again.files < first.files + 4
    assert verify(copy, LOG, mode=Mode.AUDIT).is_good
    assert verify(HttpLog(url), LOG, mode=Mode.AUDIT).is_good
    assert verify(open_log(url), LOG, mode=Mode.PUBLIC).entries == 605


def test_mirror_when_the_server_hides_entries(
    commune: Sequencer, tmp_path: Path, serve: Callable[[Path], str]
) -> None:
    """A log that publishes hashes only is mirrored and verified as such."""
    public = Path(shutil.copytree(tmp_path / "commune" / "log", tmp_path / "public" / "log"))
    shutil.rmtree(public / "tile" / "entries")
    mirror(HttpLog(serve(tmp_path / "public")), tmp_path / "copy", LOG)
    report = verify(tmp_path / "copy", LOG, mode=Mode.PUBLIC)
    assert (report.is_good, report.entries) == (True, 0)


def test_mirror_when_the_server_has_no_time(commune: Sequencer, tmp_path: Path, serve: Callable[..., str]) -> None:
    """A failure that passes is no log without entries: the copy waits for them."""
    with pytest.raises((UserError, FormatError), match="503"):
        mirror(HttpLog(serve(tmp_path / "commune", Overloaded)), tmp_path / "copy", LOG)
    assert not (tmp_path / "copy" / "checkpoint").exists()
    mirror(HttpLog(serve(tmp_path / "commune")), tmp_path / "copy", LOG)
    assert verify(tmp_path / "copy", LOG, mode=Mode.AUDIT).is_good


def test_mirror_when_the_log_was_cut_or_forked(tmp_path: Path, serve: Callable[[Path], str]) -> None:
    """A shorter log and another history are refused, and the copy stays what it was."""
    for name, payee, count in (("good", "ben", 12), ("cut", "ben", 4), ("fork", "eve", 20)):
        with testing.village(tmp_path / name, "ana", "ben", "eve") as ledger:
            testing.mint(ledger, [testing.earned("ana", 900)])
            ledger.submit([testing.pay("ana", payee, 1, memo=str(i)) for i in range(count)])
            ledger.publish()
    copy = tmp_path / "copy"
    mirror(HttpLog(serve(tmp_path / "good")), copy, LOG)
    for name, why in (("cut", "backwards"), ("fork", "extension")):
        with pytest.raises(UserError, match=why):
            mirror(HttpLog(serve(tmp_path / name)), copy, LOG)
        assert (copy / "checkpoint").read_bytes() == (tmp_path / "good" / "log" / "checkpoint").read_bytes()


@pytest.mark.parametrize(
    "file", ["tile/0/000", "tile/0/001.p/49", "tile/1/000.p/1", "tile/entries/000", "checkpoint"]
)
def test_mirror_when_a_byte_was_changed(
    commune: Sequencer, tmp_path: Path, serve: Callable[[Path], str], file: str
) -> None:
    """What does not hash to the signed head is not believed: no checkpoint appears in the copy."""
    path = tmp_path / "commune" / "log" / file
    data = path.read_bytes()
    path.write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    url = serve(tmp_path / "commune")
    with pytest.raises((UserError, FormatError)):
        mirror(HttpLog(url), tmp_path / "copy", LOG)
    assert not (tmp_path / "copy" / "checkpoint").exists()
    path.write_bytes(data)
    mirror(HttpLog(url), tmp_path / "copy", LOG)
    assert verify(tmp_path / "copy", LOG, mode=Mode.AUDIT).is_good


def audit(log: Path) -> Saved:
    report = verify(log, LOG, mode=Mode.AUDIT)
    assert report.state is not None
    return Saved((log / "checkpoint").read_bytes(), report.state)


def test_audit_when_it_goes_on(commune: Sequencer, tmp_path: Path) -> None:
    """Resumed again and again at odd sizes, the state is the one of an audit from the beginning."""
    log = tmp_path / "commune" / "log"
    saved = audit(log)
    for start in (100, 170, 171, 172):
        verify_since.save(tmp_path / "audit", saved)
        grow(commune, range(start, {100: 170, 170: 171, 171: 172}.get(start, 260)))
        report = verify_since.verify_since(PublishedLog(log), LOG, verify_since.load(tmp_path / "audit"))
        assert report.is_good
        assert report.state is not None
        assert report.state.digest() == commune.state.digest()
        saved = Saved((log / "checkpoint").read_bytes(), report.state)
    assert report.entries == 88 * 3


def test_audit_when_nothing_is_new(commune: Sequencer, tmp_path: Path) -> None:
    """The same head again is good, and no entry is read."""
    log = tmp_path / "commune" / "log"
    report = verify_since.verify_since(PublishedLog(log), LOG, audit(log))
    assert (report.is_good, report.entries) == (True, 0)


def test_audit_when_the_log_is_another(tmp_path: Path) -> None:
    """A log that was cut or forked behind a saved audit is named as such."""
    logs = {}
    for name, payee, count in (("good", "ben", 12), ("cut", "ben", 4), ("fork", "eve", 20)):
        with testing.village(tmp_path / name, "ana", "ben", "eve") as ledger:
            testing.mint(ledger, [testing.earned("ana", 900)])
            ledger.submit([testing.pay("ana", payee, 1, memo=str(i)) for i in range(count)])
            ledger.publish()
        logs[name] = tmp_path / name / "log"
    for name, why in (("cut", "was cut"), ("fork", "a fork")):
        (problem,) = verify_since.verify_since(PublishedLog(logs[name]), LOG, audit(logs["good"])).problems
        assert why in problem.what


def test_audit_when_a_new_entry_was_changed(commune: Sequencer, tmp_path: Path) -> None:
    """The first bad entry after the saved head is named with its file."""
    log = tmp_path / "commune" / "log"
    saved = audit(log)
    grow(commune, range(100, 130))
    bundle = next((log / "tile" / "entries" / "001.p").glob(str(395 - 256)))
    data = bytearray(bundle.read_bytes())
    data[-1] ^= 1
    bundle.write_bytes(data)
    (problem,) = verify_since.verify_since(PublishedLog(log), LOG, saved).problems
    assert problem.place == "entry 394"
    assert problem.file == f"tile/entries/001.p/{395 - 256}"


def test_saved_audit_when_it_is_not_ours(commune: Sequencer, tmp_path: Path) -> None:
    """A torn file, another file, and a pickle that names other code are refused with a sentence."""
    path = tmp_path / "audit"
    verify_since.save(path, audit(tmp_path / "commune" / "log"))
    data = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    for bad in (b"", data[:-1], data[:-1] + b"x", b"hello", data[:19] + data[51:], b"\0" * len(data)):
        path.write_bytes(bad)
        with pytest.raises(UserError, match="saved audit"):
            verify_since.load(path)


@pytest.mark.parametrize(
    "name",
    [
        "builtins:print",
        "os:mkdir",
        "ledger.audit.verify_since:os.mkdir",  # by way of a module of ours
        "ledger.book.entry:hashlib.sha256",
        "ledger.book.entry:replace",  # a function
        "ledger.audit.mirror:HttpLog",  # a class that touches the world
    ],
)
def test_saved_audit_when_it_names_other_code(tmp_path: Path, name: str) -> None:
    """A file that would run something is refused before it runs, also when it goes by way of a module of ours."""
    path, made = tmp_path / "audit", tmp_path / "made"
    body = cbor2.dumps([[name], [saved_state.RECORD, 0, str(made)]])
    path.write_bytes(b"commonwatt audit 4\n" + hashlib.sha256(body).digest() + body)
    with pytest.raises(UserError, match=f"cannot read a saved audit: malformed: names {name}"):
        verify_since.load(path)
    assert not made.exists()


def test_files_when_a_partial_one_gave_way(commune: Sequencer, tmp_path: Path) -> None:
    """Who read the checkpoint before the full tile came reads its beginning: nothing else is in the partial one."""
    log = PublishedLog(tmp_path / "commune" / "log")
    name = TileName(0, 1, commune.size - 256)
    before = log.tile(name), log.bundle(replace(name, level=ENTRIES))
    commune.submit([testing.pay("ana", "ben", 1, memo=f"more {number}") for number in range(256)])
    commune.publish()
    assert not (log.root / name.path).exists()
    assert (log.tile(name), log.bundle(replace(name, level=ENTRIES))) == before
    with pytest.raises(FormatError, match="missing"):
        log.tile(TileName(0, 9, 3))
