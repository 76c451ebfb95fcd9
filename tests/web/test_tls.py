"""HTTPS of the pages: handshakes with Python's own ssl against a CA that was made here, and files of no use."""

import http.client
import re
import socket
import ssl
import stat
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zxingcpp
from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from PIL import Image

from commonwatt.clock import CivilClock
from commonwatt.errors import UserError
from commonwatt.testing_command import run
from web.server import Beside
from web.settings import WebSettings
from web.tls import authority, files
from web.tls.authority import LocalCa, Signed
from web.tls.phone import PhonePage
from web.tls.serving import STRICT, LocalTls, Tls

NOW = datetime.now(UTC)
"""TLS lives by the wall clock, which the browser's half of a handshake brings along."""
HOST = "192.168.7.20"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> LocalCa:
    """A CA and a certificate for one address of a home network; nobody changes it."""
    return authority.ensure(tmp_path_factory.mktemp("ca") / "ca", [HOST, "town.local"], at=NOW)


def trusting(ca: LocalCa) -> ssl.SSLContext:
    """A browser that installed the CA, as strict as Python can be."""
    context = ssl.create_default_context(cafile=ca.folder / authority.PUBLIC)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> x509.Certificate:
    """Both halves in memory; the certificate that the client saw and believed. SSLError if it did not."""
    wires = [ssl.MemoryBIO() for _ in range(2)]
    ours = server.wrap_bio(wires[0], wires[1], server_side=True)
    theirs = client.wrap_bio(wires[1], wires[0], server_hostname=name)
    left = {ours, theirs}
    while left:
        for half in (ours, theirs):
            try:
                half.do_handshake()
            except ssl.SSLWantReadError:
                continue
            left.discard(half)
    seen = theirs.getpeercert(binary_form=True)
    assert seen is not None
    return x509.load_der_x509_certificate(seen)


@contextmanager
def told(ca: LocalCa, path: str, port: int, name: str = "127.0.0.1", *, context: ssl.SSLContext | None = None):
    """One request over TLS to loopback, where the server is called `name`."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
        (context or trusting(ca)).wrap_socket(plain, server_hostname=name) as wire,
    ):
        connection = http.client.HTTPConnection(name)
        connection.sock = wire
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        answer.read()
        yield answer


def test_pages_when_the_phone_trusts_the_local_ca(town: Path, ca: LocalCa, caplog) -> None:
    """Real sockets: the pages by HTTPS under every name of the certificate, no promise for a year; and by plain HTTP
    one page with the CA, its fingerprint, and a code that a phone's camera reads. Strangers' browsers refuse."""
    read = WebSettings(local_ca=ca.folder, phone_port=0)
    with Beside(town, ("127.0.0.1", 0), clock=CivilClock(), read=read) as pages:
        port = pages.address[1]
        for name in ("127.0.0.1", "localhost", HOST, "town.local"):
            with told(ca, "/log", port, name) as answer:
                assert answer.status == 200
                assert answer.getheader("strict-transport-security") is None
                assert "default-src 'none'" in answer.getheader("content-security-policy")
        for context, name in ((None, "bank.example"), (ssl.create_default_context(), "localhost")):
            with pytest.raises(ssl.SSLCertVerificationError), told(ca, "/", port, name, context=context):
                pass
        assert pages.phone_url is not None
        plain = http.client.HTTPConnection("127.0.0.1", int(pages.phone_url.rstrip("/").rpartition(":")[2]))
        pages_of_phone = {}
        for path in ("/", "/fr", "/commonwatt-ca.crt", "/static/style.css", "/nowhere", "/../../authority.pem"):
            plain.request("GET", path)
            got = plain.getresponse()
            pages_of_phone[path] = got.status, got.read()
            plain.close()
    assert x509.load_der_x509_certificate(pages_of_phone["/commonwatt-ca.crt"][1]) == ca.authority
    assert [pages_of_phone[path][0] for path in ("/static/style.css", "/nowhere", "/../../authority.pem")] == [
        *(200, 404, 404)
    ]
    text = pages_of_phone["/"][1].decode()
    assert ca.fingerprint in text
    assert f"https://{HOST}:{port}/" in text
    assert '<html lang="fr">' in pages_of_phone["/fr"][1].decode()
    assert "Traceback" not in caplog.text
    assert pages.phone_url.startswith(f"http://{HOST}:")
    assert read_qr(text) == pages.phone_url


def read_qr(page: str) -> str:
    """What a camera reads in the page's drawing, whose path moves (M, m) and draws modules to the right (h)."""
    (strokes,) = re.findall(r'<path[^>]* stroke="#000"[^>]* d="([^"]+)"', page)
    modules, at_x, at_y = set(), 0.0, 0.0
    for command, first, second in re.findall(r"([Mmh])(-?[\d.]+)(?: (-?[\d.]+))?", strokes):
        if command == "h":
            modules |= {(int(at_x) + step, int(at_y)) for step in range(int(first))}
            at_x += float(first)
        else:
            at_x, at_y = float(first) + at_x * (command == "m"), float(second) + at_y * (command == "m")
    side = max(x for x, _y in modules) + 3
    picture = Image.new("L", (side, side), 255)
    for module in modules:
        picture.putpixel(module, 0)
    (found,) = zxingcpp.read_barcodes(picture.resize((4 * side, 4 * side), Image.Resampling.NEAREST))
    return str(found.text)


def test_phone_page_when_everyone_is_to_use_it(browser, town: Path, ca: LocalCa) -> None:
    """On a phone, in the dark, with every step opened: axe finds nothing, nothing is wider than the screen."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    with PhonePage(town, lambda: ca, host="127.0.0.1", pages_port=8680, phone_port=0) as served:
        context = browser.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark", locale="fr-FR")
        page = context.new_page()
        page.goto(served.url.replace(HOST, "127.0.0.1"))
        assert page.locator("html").get_attribute("lang") == "fr"
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        found = axe.Axe().run(page, options={"runOnly": tags})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        context.close()


def test_ca_when_it_is_asked_for_again(tmp_path: Path) -> None:
    """The CA stays the one that phones have; its certificate is made anew before it ends and for other hosts. Files
    with keys are for their owner only."""
    folder = tmp_path / "ca"
    first = authority.ensure(folder, [HOST], at=NOW)
    assert first.is_new
    same = authority.ensure(folder, (), at=NOW + timedelta(days=authority.SERVER_DAYS - authority.RENEW_DAYS - 1))
    assert (same.is_new, same.server.certificate) == (False, first.server.certificate)
    later = authority.ensure(folder, (), at=NOW + timedelta(days=authority.SERVER_DAYS - authority.RENEW_DAYS + 1))
    assert (later.is_new, later.authority) == (False, first.authority)
    assert later.server.certificate != first.server.certificate
    assert later.server.hosts == first.server.hosts == [HOST, *authority.LOOPBACK]
    moved = authority.ensure(folder, ["10.1.2.3", "Mairie.local"], at=NOW)
    assert (moved.is_new, moved.server.hosts[:2]) == (False, ["10.1.2.3", "mairie.local"])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes == {"authority.pem": 0o600, "server.pem": 0o600, "ca.crt": 0o644}
    old = authority.ensure(folder, (), at=NOW + timedelta(days=authority.CA_DAYS - authority.RENEW_DAYS + 1))
    assert old.is_new
    assert old.authority != first.authority
    old.server.certificate.verify_directly_issued_by(old.authority)


def test_ca_when_it_is_to_vouch_for_a_stranger(ca: LocalCa, tmp_path: Path) -> None:
    """Hosts outside private networks that were not named are refused; and if its key were stolen, a certificate for
    a bank would be refused by TLS itself."""
    for stranger in ("bank.example", "8.8.8.8", "2001:db8::1", "notlocal", "evil-local"):
        with pytest.raises(UserError, match="may not vouch"):
            authority.ensure(ca.folder, [stranger], at=NOW)
    for wrong in ("", "a b", "*.local", "-x.local", "http://x", "x" * 64 + ".local"):
        with pytest.raises(UserError, match="no name or address"):
            authority.ensure(tmp_path / "ca", [wrong], at=NOW)
    assert not (tmp_path / "ca").exists()
    with pytest.raises(UserError, match="commonwatt web ca"):
        authority.ensure(tmp_path / "ca", (), at=NOW)
    stolen = authority._read(ca.folder / authority.AUTHORITY)
    assert stolen is not None
    for host in ("bank.example", "8.8.8.8"):
        forged = write(tmp_path / host, authority._make_server(stolen, [host], NOW))
        with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
            handshake(files.read(forged, forged, at=NOW).context, trusting(ca), host)


def write(path: Path, signed: Signed) -> Path:
    path.write_bytes(signed.pem())
    return path


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        ("no certificate file", "cannot be read: No such file"),
        ("no key file", "cannot be read: No such file"),
        ("key for the certificate", "no certificate in this file"),
        ("certificate for the key", "no key in this file"),
        ("another key", "not the one of the certificate"),
        ("locked key", "locked by a password"),
        ("ended", "ended on"),
        ("not begun", "begins on"),
    ],
)
def test_files_when_they_are_no_good(ca: LocalCa, tmp_path: Path, mistake: str, words: str) -> None:
    """The sentence names the file and what to do, before anything listens."""
    signed, at = ca.server, NOW
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert_data = signed.certificate.public_bytes(Encoding.PEM)
    key_data = signed.pem().partition(b"-----BEGIN CERTIFICATE")[0]
    if mistake == "another key":
        key_data = authority.ensure(tmp_path / "other", [HOST], at=NOW).server.pem().partition(b"-----BEGIN CERT")[0]
    if mistake == "locked key":
        locked = BestAvailableEncryption(b"secret")
        key_data = signed.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    at += {"ended": timedelta(days=91), "not begun": timedelta(days=-9)}.get(mistake, timedelta())
    if mistake != "no certificate file":
        cert.write_bytes(key_data if mistake == "key for the certificate" else cert_data)
    if mistake != "no key file":
        key.write_bytes(cert_data if mistake == "certificate for the key" else key_data)
    with pytest.raises(UserError, match=words) as caught:
        files.read(cert, key, at=at)
    assert "→" in str(caught.value)
    assert str(key if "key" in mistake and mistake != "key for the certificate" else cert) in str(caught.value)


def test_certificate_when_it_is_renewed_while_served(ca: LocalCa, tmp_path: Path, caplog) -> None:
    """New connections get the new one without a restart; a broken file is told and the old one stays."""
    other = authority._read(ca.folder / authority.AUTHORITY)
    assert other is not None
    path = write(tmp_path / "server.pem", ca.server)
    tls = Tls(path, path)
    context = tls.words()["ssl_context_factory"]()
    assert handshake(context, trusting(ca), HOST) == ca.server.certificate
    assert not tls.renew(NOW)
    renewed = authority._make_server(other, [HOST], NOW)
    write(path, renewed)
    assert tls.renew(NOW)
    assert handshake(context, trusting(ca), HOST) == renewed.certificate
    path.write_bytes(renewed.pem()[:300])
    assert not tls.renew(NOW)
    assert "cannot be renewed" in caplog.text
    assert handshake(context, trusting(ca), HOST) == renewed.certificate
    write(path, renewed)
    tls.renew(NOW)
    assert not tls.renew(NOW + timedelta(days=80))
    assert "was not renewed" in caplog.text


def test_local_certificate_when_it_ends_soon(town: Path, tmp_path: Path) -> None:
    """A server that runs for months makes its own anew."""
    ca = authority.ensure(tmp_path, [HOST], at=NOW)
    tls = LocalTls(town, tmp_path, 0)
    context = tls.words()["ssl_context_factory"]()
    assert not tls.renew(NOW)
    assert tls.renew(NOW + timedelta(days=70))
    anyhow = ssl.create_default_context()
    anyhow.check_hostname, anyhow.verify_mode = False, ssl.CERT_NONE  # it begins in two months
    assert handshake(context, anyhow, HOST) != ca.server.certificate


def test_strict_transport_when_everybody_knows_the_authority(tmp_path: Path) -> None:
    """Only a chain that browsers believe by themselves promises HTTPS for a year; our own CA never does."""
    ca = authority.ensure(tmp_path, ["credits.home.arpa"], at=NOW)
    assert Tls(ca.server_file, ca.server_file, authorities=[ca.authority]).words()["headers"] == [STRICT]
    assert Tls(ca.server_file, ca.server_file).words()["headers"] == []
    assert LocalTls(tmp_path, tmp_path, 0).words()["headers"] == []


def test_commands_when_typed(town: Path, tmp_path: Path) -> None:
    """`web ca` says what it made and what to type next; `web run` names the file that is wrong."""
    made = run("web", "ca", tmp_path / "ca", "--host", HOST)
    again = run("web", "ca", tmp_path / "ca")
    assert made.returncode == again.returncode == 0
    assert f"for {HOST}, localhost" in made.stdout
    fingerprints = [re.findall(r"(?:[0-9A-F]{2}:){31}[0-9A-F]{2}", done.stdout) for done in (made, again)]
    assert fingerprints[0] == fingerprints[1] != []
    for words, said in (
        (("--tls-cert", "x.pem"), "go together"),
        (("--tls-cert", tmp_path / "x.pem", "--tls-key", tmp_path / "x.pem"), "x.pem: cannot be read"),
        (("--local-ca", tmp_path / "none"), "commonwatt web ca"),
        (("--zone", "Europe/Atlantis"), "zone"),
    ):
        done = run("web", "run", town, "--port", "0", *words)
        assert done.returncode == 2, done.stdout
        assert said in done.stderr
