"""Follows the published log for what settling must know: policies, reviews of held spans, replaced devices.

What was found is kept in the table `logged`, so that a start reads only what is new.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from aggregator import schema
from aggregator.commune import replacing
from aggregator.commune.replacing import Replacement
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Enacted
from aggregator.settling import reviews as held_reviews
from aggregator.settling.reviews import Review, Wraps
from aggregator.sql import Database, upsert
from aggregator.statements import corrections as stated_corrections
from aggregator.statements import statement as statements
from aggregator.statements.corrections import Correction
from aggregator.statements.signers import Signers
from aggregator.statements.statement import Topic
from aggregator.statements.values import Stated
from commonwatt.errors import StorageError, UserError
from ledger.book import body, entry
from ledger.book.entry import SignedEntry
from ledger.log.published import PublishedLog
from ledger.log.tiles import ENTRIES, WIDTH, TileName

READ = "log.heard"
"""The row of `meta` that says how much of the log was read. Older databases have `log.read`, by readers that passed
over what was signed with a key that its holder had replaced since; under another name all is read once more."""

_SIGNED = b"\xd2"


@dataclass(frozen=True, slots=True)
class Known:
    """What the first `size` entries of the log say about settling, in their order. `wraps_at_wh`: where registers
    begin at 0 again, by device."""

    size: int
    policies: tuple[Enacted, ...]
    reviews: tuple[Review, ...] = ()
    wraps_at_wh: Mapping[bytes, int] = field(default_factory=dict)
    replacements: tuple[Replacement, ...] = ()
    stated: tuple[Stated, ...] = ()
    corrections: tuple[Correction, ...] = ()

    @property
    def begins_s(self) -> dict[bytes, int]:
        """When devices came in place of others (civil seconds)."""
        return {row.device: row.begins_s for row in self.replacements}


def follow(database: Database, log: PublishedLog, signers: Signers) -> Known:
    """Read what is new in the log; `signers`: whose statements count. StorageError if the log is shorter than it
    was."""
    size = log.unverified_checkpoint().size
    with database.transaction() as connection:
        read = int(connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == READ)) or 0)
        if size < read:
            raise StorageError(
                f"the log has {size} entries, and {read} were known: it is an older copy",
                where=log.where,
                to_do="put the ledger and the aggregator's database of the same time together again",
            )
        rows = [
            {"place": place, "entry": data} for place, data, parsed in entries_from(log, read) if _is_for_us(parsed)
        ]
        if rows:
            connection.execute(upsert(schema.logged), rows)
        connection.execute(upsert(schema.meta), {"name": READ, "value": str(size)})
        found = connection.execute(sa.select(schema.logged).order_by(schema.logged.c.place)).all()
    return known_of(size, [(row.place, row.entry) for row in found], signers)


def entries_from(log: PublishedLog, first: int) -> Iterator[tuple[int, bytes, SignedEntry]]:
    """The signed entries from a place on, with their places."""
    size = log.unverified_checkpoint().size
    for start in range(first // WIDTH * WIDTH, size, WIDTH):
        bundle = log.bundle(TileName(ENTRIES, start // WIDTH, min(WIDTH, size - start)))
        for place, data in enumerate(bundle, start):
            if place >= first and data[:1] == _SIGNED:
                parsed = entry.parse(data)
                assert isinstance(parsed, SignedEntry)
                yield place, data, parsed


def known_of(size: int, entries: list[tuple[int, bytes]], signers: Signers | None = None) -> Known:
    """Entries by place as settling knows them. UserError if there is no policy among them."""
    policies: list[Enacted] = []
    reviews: list[Review] = []
    replacements: list[Replacement] = []
    stated: list[Stated] = []
    wraps_at_wh: dict[bytes, int] = {}
    for place, data in entries:
        signed = entry.parse(data)
        assert isinstance(signed, SignedEntry)
        if isinstance(signed.entry.body, body.Policy):
            policy = Policy.parse(signed.entry.body.text, where=f"the policy at {place} of the log")
            policies.append(Enacted(place, signed.entry.time_s, policy))
        elif (review := review_of(place, signed)) is not None:
            reviews.append(review)
        elif (replacement := _replacement_of(signed)) is not None:
            replacements.append(replacement)
        elif (wraps := _wraps_of(place, signed)) is not None:
            wraps_at_wh[wraps.device] = wraps.at_wh
        elif signers is not None and (found := stated_of(place, signed, signers)) is not None:
            stated.append(found)
    if not policies:
        raise UserError("the ledger has no policy", to_do="found the commune with commonwatt init")
    corrections = stated_corrections.agreed(stated, signers.correcting_min) if signers is not None else ()
    return Known(size, tuple(policies), tuple(reviews), wraps_at_wh, tuple(replacements), tuple(stated), corrections)


def review_of(place: int, signed: SignedEntry) -> Review | None:
    """The review of a held span that an entry is, or None."""
    status = signed.entry.body
    return held_reviews.read(place, status) if isinstance(status, body.SetStatus) else None


def _replacement_of(signed: SignedEntry) -> Replacement | None:
    status = signed.entry.body
    return replacing.read(status) if isinstance(status, body.SetStatus) else None


def stated_of(place: int, signed: SignedEntry, signers: Signers) -> Stated | None:
    """The statement that an entry holds, if somebody signed it who might at this place; a value's entry is about whom
    it is for, one of taking part about the site; requests and corrections are about anybody."""
    status = signed.entry.body
    found = statements.read(status) if isinstance(status, body.SetStatus) else None
    signer = signers.signer_of(found, place) if found is not None else None
    if found is None or signer is None:
        return None
    is_about_somebody = found.statement.topic in (Topic.VALUE, Topic.PART)
    is_misplaced = is_about_somebody and found.about != found.statement.subject
    return None if is_misplaced else Stated(place, signed.entry.time_s, found.statement, signer)


def _wraps_of(place: int, signed: SignedEntry) -> Wraps | None:
    status = signed.entry.body
    return held_reviews.read_wraps(place, status) if isinstance(status, body.SetStatus) else None


def _is_for_us(signed: SignedEntry) -> bool:
    """Of statements every one: who signed it is looked at when it is read."""
    said = signed.entry.body
    found = (review_of(0, signed), _replacement_of(signed), _wraps_of(0, signed))
    is_stated = isinstance(said, body.SetStatus) and statements.read(said) is not None
    return is_stated or isinstance(said, body.Policy) or any(row is not None for row in found)
