"""Takes the operator's signed requests into a commune's log, and knows those that are there.

Beside the aggregator, not in it: a request is laid into the ledger's inbox, or into the ledger if nobody has it open.
The aggregator's key says when it came; what was asked, the operator's signature says alone (docs/decisions/
0031-the-operators-requests.md).
"""

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aggregator.asking import judging
from aggregator.asking.judging import Refused
from aggregator.commune import enacted
from aggregator.commune.directory import CommuneDirectory
from aggregator.followed_log import saved_state
from aggregator.policy.rules import Policy
from aggregator.private.store import PrivateStore
from aggregator.statements import requests
from aggregator.statements import statement as statements
from aggregator.statements.requests import Request
from aggregator.statements.signers import Signers
from aggregator.statements.statement import Signed, Topic
from aggregator.statements.values import Stated
from commonwatt.clock import Civil, Passing
from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.identity import ID_SIZE
from commonwatt.registry import Status
from ledger import door, sequencer
from ledger.app import LOG
from ledger.book import entry
from ledger.book.body import SetStatus
from ledger.book.entry import Entry, SignedEntry
from ledger.book.kinds import Subject
from ledger.book.refusals import Refusal
from ledger.follower import LogFollower
from ledger.log.published import PublishedLog

_SIGNED = b"\xd2"


@dataclass(frozen=True, slots=True)
class Known:
    """A request in the log. `sha256`: of the bytes that the operator signed; `counts`: whether it may be rewarded."""

    request: Request
    sha256: bytes
    counts: bool


@dataclass(frozen=True, slots=True)
class Taken:
    """It is in the log. `is_repeat`: it had been there before."""

    known: Known
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Why it is not. `beside`: the request that is in its way."""

    refused: Refused
    beside: Request | None = None


class RequestDesk:
    """Requests of one commune, for several threads. `clock`: civil; `waiting`: by which an answer of the ledger is
    awaited, none: the machine's. UserError if the directory is no commune's or has no aggregator's key."""

    def __init__(self, directory: Path, *, clock: Civil, waiting: Passing | None = None) -> None:
        place = CommuneDirectory(directory)
        self.commune, self._key = place.load(), place.load_key("aggregator")
        if self._key.public_key.hex() != self.commune.aggregator_public_key:
            raise UserError(_("this key is not the one of commune.toml"), where=place.key_file("aggregator"))
        self._place, self._clock, self._waiting = place, clock, waiting
        self._said: list[tuple[int, int, Signed, bytes]] = []
        log = PublishedLog(directory / LOG)
        state = saved_state(directory, log)
        known = 0 if state is None else state.size
        for at, _data, parsed in enacted.entries_from(log, 0) if known else ():
            if at >= known:
                break
            self._hear(at, parsed)  # the state knows whose keys count, and nothing of what they said
        self._follower = LogFollower(log, state, look=self._look)
        self._reading, self._writing = threading.Lock(), threading.Lock()

    @property
    def now_s(self) -> float:
        """Civil time."""
        return self._clock.now_s()

    @property
    def policy(self) -> Policy:
        """The rules as they are told to people now."""
        return Policy.load(self._place.policy_toml)

    @property
    def feeders(self) -> dict[bytes, str]:
        """The feeders that can be asked, with their names."""
        return {row.id: row.name for row in PrivateStore(self._place.private_db).people("feeders")}

    def known(self) -> list[Known]:
        """Every request of the log, in its order."""
        terms = self.policy.rules.shifting
        with self._reading:
            try:
                self._follower.step()
            except FormatError as error:
                raise UserError(_("the published log cannot be read: {error}").format(error=error)) from error
            signers = Signers(self._follower.state)
            said = list(self._said)
        stated = {
            sha256: Stated(place, time_s, signed.statement, signer)
            for place, time_s, signed, sha256 in reversed(said)  # of two with the same bytes the first
            if (signer := signers.signer_of(signed, place)) is not None
        }
        return [
            Known(request, sha256, judging.counts(request.time_s, request.start_s, terms))
            for sha256, item in reversed(stated.items())
            for request in requests.of([item])
        ]

    def take(self, data: bytes) -> Taken | NotTaken:
        """Bring the signed bytes of a request into the log; the same bytes again are answered with their place.

        FormatError: they are no signed statement. UserError: the ledger did not answer in time, or refused.
        """
        signed = statements.parse_signed(data, bytes.fromhex(self.commune.association))
        with self._writing:
            known = self.known()
            found = _find(known, data)
            if found is not None:
                return Taken(found, is_repeat=True)
            refused = self._judge(signed, known)
            if refused is not None:
                return refused
            self._enter(data)
            found = _find(self.known(), data)
        if found is None:
            raise UserError(
                _("the ledger has it and does not show it yet"), to_do=_("send the same bytes again in a minute")
            )
        return Taken(found, is_repeat=False)

    def _judge(self, signed: Signed, known: Sequence[Known]) -> NotTaken | None:
        with self._reading:
            signer = Signers(self._follower.state).signer_of(signed)
        if signer is None:
            return NotTaken(Refused.NOT_THE_OPERATOR)
        now_s = self._clock.now_s()
        standing = [row.request for row in known if row.request.end_s > now_s]
        found = judging.check(signed.statement, standing, self.feeders, now_s)
        return None if found is None else NotTaken(*found)

    def _enter(self, data: bytes) -> None:
        """The entry's id follows from the bytes, so that they enter once, whoever else brings them meanwhile."""
        association = bytes.fromhex(self.commune.association)
        change = SetStatus(Subject.ASSOCIATION, association, Status.ACTIVE, statements.reason_of(data))
        entry_id = hashlib.sha256(b"request" + data).digest()[:ID_SIZE]
        signed = Entry(entry_id, int(self._clock.now_s()), change).sign(self._key, self.commune.genesis)
        with door.opened(self._place.root, clock=self._waiting) as ledger:
            (answer,) = ledger.submit([signed])
        if isinstance(answer, sequencer.Refused) and answer.refusal is not Refusal.CONFLICT:
            raise UserError(
                _("the ledger refuses the request: {why}").format(why=answer.refusal.label),
                to_do=_("tell the association: its aggregator's key may be another by now, or it is suspended"),
            )

    def _look(self, first: int, entries: Sequence[bytes]) -> None:
        """Called by the follower with what is new."""
        for place, data in enumerate(entries, first):
            parsed = entry.parse(data) if data[:1] == _SIGNED else None
            if isinstance(parsed, SignedEntry):
                self._hear(place, parsed)

    def _hear(self, place: int, parsed: SignedEntry) -> None:
        """Remember what an entry says, if it is a request; whether it counts is for `known`."""
        change = parsed.entry.body
        found = statements.read(change) if isinstance(change, SetStatus) else None
        signed = statements.signed_bytes(change) if isinstance(change, SetStatus) else None
        if found is not None and signed is not None and found.statement.topic is Topic.REQUEST:
            self._said.append((place, parsed.entry.time_s, found, hashlib.sha256(signed).digest()))


def _find(known: Sequence[Known], data: bytes) -> Known | None:
    sha256 = hashlib.sha256(data).digest()
    return next((row for row in known if row.sha256 == sha256), None)
