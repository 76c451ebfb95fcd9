"""Makes the proof of an entry for whom it concerns: down to the meter's own signature where it is a mint."""

from enum import StrEnum
from pathlib import Path

from aggregator import settings
from commonwatt.errors import UserError
from ledger.app import LOG
from ledger.book import entry
from ledger.book.kinds import Kind
from ledger.book.mint import Mint
from ledger.log.published import PublishedLog
from ledger.proof import make
from ledger.proof.file import QR_SIZE_MAX, Chain, ProofFile
from ledger.proof.make import Evidence
from web.book.books import Books


class Form(StrEnum):
    """How much a proof encloses: all lines behind a mint with the meters' blocks, one of them, or none."""

    LONG = "long"
    SHORT = "short"
    CLOSED = "closed"


class Prover:
    """Of one commune."""

    def __init__(self, directory: Path, database_url: str, books: Books) -> None:
        self._directory, self._database_url, self._books = directory, database_url, books

    def prove(self, holder: bytes, place: int) -> tuple[ProofFile, Form]:
        """With all that can be enclosed: what lies behind a mint may be deleted after its time, or lie elsewhere."""
        closed = make.prove(PublishedLog(self._directory / LOG), place)
        found = self._behind(holder, closed)
        return _opened(closed, found, None) or (closed, Form.CLOSED)

    def for_paper(self, holder: bytes, place: int) -> tuple[ProofFile, Form] | None:
        """The most of it that fits one QR code: all lines, the one with the most energy, or none; None if not even
        that does."""
        closed = make.prove(PublishedLog(self._directory / LOG), place)
        found = self._behind(holder, closed)
        largest = None
        if found is not None and found[0].lines:
            largest = max(range(len(found[0].lines)), key=lambda at: found[0].lines[at].energy_wh)
        tried = (
            _opened(closed, found, None),
            _opened(closed, found, largest) if largest is not None else None,
            (closed, Form.CLOSED),
        )
        return next((made for made in tried if made is not None and len(made[0].encode()) <= QR_SIZE_MAX), None)

    def _behind(self, holder: bytes, closed: ProofFile) -> tuple[Evidence, dict[bytes, Chain]] | None:
        parsed = entry.parse(closed.entry)
        if not isinstance(parsed, Mint):
            return None
        try:
            url = settings.database_url(self._directory, self._database_url)
            evidence = make.read_evidence(url, parsed)
        except UserError:  # no database here, or another one: the log's own word is left
            return None
        with self._books.now() as book:
            rows = book.index.rows(holder, kinds=[Kind.ADMIT, Kind.ROTATE])
            entries = [book.entry(row.place) for row in reversed(rows)]
        return evidence, make.admissions_of(data for data in entries if data)


def _opened(
    closed: ProofFile, found: tuple[Evidence, dict[bytes, Chain]] | None, position: int | None
) -> tuple[ProofFile, Form] | None:
    if found is None:
        return None
    try:
        opened = make.open_mint(closed, *found, position)
    except UserError:  # a block is gone, or no meter stands behind the line
        return None
    return opened, Form.LONG if position is None else Form.SHORT
