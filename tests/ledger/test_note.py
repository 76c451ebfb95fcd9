"""Notes agree with the implementation that C2SP's format comes from (Go's golang.org/x/mod/sumdb/note)."""

import pytest

from commonwatt.errors import FormatError
from ledger import testing
from ledger.log import note
from ledger.log.note import Signer

# The example of the Go package's documentation.
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
LINE = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"


def test_note_when_signed_by_go() -> None:
    """Go's example verifies, and its vkey is spelled as Go spells it."""
    verifier = note.parse_vkey(VKEY)
    assert str(verifier) == VKEY
    parsed = note.parse(f"{TEXT}\n{LINE}".encode())
    assert parsed.text == TEXT
    assert note.verify(parsed, [verifier]) == [verifier]


def test_vkey_when_of_a_public_log() -> None:
    """The key of Go's checksum database is read: its id is its name's and key's."""
    assert note.parse_vkey("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8").name


def test_note_when_some_lines_are_unknown() -> None:
    """A line of an unknown key is passed over and can be named."""
    ours = Signer("log.example", testing.key("log"))
    both = note.sign(TEXT, ours) + LINE
    parsed = note.parse(both.encode())
    assert note.verify(parsed, [ours.verifier]) == [ours.verifier]
    assert [line.name for line in parsed.unknown([ours.verifier])] == ["PeterNeumann"]


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+BBpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "log+11111111+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ],
    ids=["one-part", "another-id", "space-in-name", "another-algorithm", "small-order-key"],
)
def test_vkey_when_wrong(vkey: str) -> None:
    """A vkey whose parts do not agree is refused."""
    with pytest.raises(FormatError):
        note.parse_vkey(vkey)


@pytest.mark.parametrize(("count", "fits"), [(100, True), (101, False)])
def test_note_when_at_the_limit_of_signatures(count: int, fits: bool) -> None:
    """A note has at most 100 signature lines."""
    data = (f"{TEXT}\n" + LINE * count).encode()
    if fits:
        assert len(note.parse(data).signatures) == count
    else:
        with pytest.raises(FormatError):
            note.parse(data)
