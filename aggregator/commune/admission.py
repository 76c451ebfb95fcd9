"""Turns a roster into admissions signed by the steward. Repeating a roster admits nobody twice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aggregator.commune.attributes import (
    PLACES,
    BuildingFacts,
    FeederFacts,
    MemberFacts,
    QuarterFacts,
    SiteFacts,
    TransformerFacts,
    as_attributes,
)
from aggregator.commune.roster import GRADES, ROLES, Roster
from aggregator.private.person import Attributes, Person
from aggregator.private.store import PrivateStore
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from ledger.book.body import Admission, AdmitAccount, AdmitDevice, AdmitGateway, AdmitSite, Subject
from ledger.book.entry import Entry
from ledger.book.state import State
from ledger.door import Door
from ledger.sequencer import Placed, Refused


@dataclass(frozen=True, slots=True)
class Proposal:
    """One admission and what people call its subject ("member Ana")."""

    kind: str
    name: str
    body: Admission


def propose(roster: Roster, store: PrivateStore, *, at_s: int) -> list[Proposal]:
    """The admissions of a roster, holders before what they hold. Enrols new names in `store`, and what is said
    anew of known ones since `at_s` (civil seconds); does not save it."""
    _grid(roster, store, at_s)
    return [
        *_people(roster, store, at_s),
        *_sites(roster, store, at_s),
        *_devices(roster, store),
        *_gateways(roster, store),
    ]


def admit(
    proposals: Sequence[Proposal], ledger: Door, *, steward: SigningKey, time_s: int
) -> list[tuple[Proposal, bool]]:
    """Admit what is not yet in the ledger ; each proposal with whether it is new.

    UserError names the first that the ledger refuses, or that is there already with other facts.
    """
    fresh = [not _is_admitted(proposal, ledger.state) for proposal in proposals]
    new = [proposal for proposal, is_new in zip(proposals, fresh, strict=True) if is_new]
    genesis = ledger.state.genesis_sha256
    answers = ledger.submit([Entry(new_id(), time_s, item.body).sign(steward, genesis) for item in new])
    for proposal, answer in zip(new, answers, strict=True):
        _expect_placed(proposal, answer)
    return list(zip(proposals, fresh, strict=True))


def named_places(store: PrivateStore, table: str, name: str, attributes: Attributes) -> dict[str, Any]:
    """Attributes with the ids of the places that they name; UserError if a place is not known."""
    known = dict(attributes)
    for field, places in PLACES.items():
        if field in known:
            known[field] = _known(store, places, known[field], f"{table}.{name}.{field}").hex()
    return known


def _grid(roster: Roster, store: PrivateStore, at_s: int) -> None:
    """What is above the dwellings: known to us alone, so the log has no entry of it."""
    for table, rows, model in (
        ("transformers", roster.transformers, TransformerFacts),
        ("feeders", roster.feeders, FeederFacts),
        ("quarters", roster.quarters, QuarterFacts),
        ("buildings", roster.buildings, BuildingFacts),
    ):
        for row in rows:
            known = named_places(store, table, row.name, as_attributes(row, model))
            _enrol(store, table, row.name, None, known, at_s)


def _people(roster: Roster, store: PrivateStore, at_s: int) -> Iterator[Proposal]:
    for member in roster.members:
        known = as_attributes(member, MemberFacts)
        person = _enrol(store, "members", member.name, member.id, known, at_s)
        yield Proposal("member", member.name, _account(Subject.MEMBER, person, member.wallet))
    for merchant in roster.merchants:
        person = store.enrol("merchants", merchant.name, _id(merchant.id))
        yield Proposal("merchant", merchant.name, _account(Subject.MERCHANT, person, merchant.wallet))


def _account(subject: Subject, person: Person, wallet: str) -> AdmitAccount:
    return AdmitAccount(subject, person.id, bytes.fromhex(wallet), person.commitment)


def _sites(roster: Roster, store: PrivateStore, at_s: int) -> Iterator[Proposal]:
    for row in roster.sites:
        holder = _known(store, "members", row.member, f"sites.{row.name}.member")
        known = named_places(store, "sites", row.name, as_attributes(row, SiteFacts))
        site = _enrol(store, "sites", row.name, row.id, known, at_s)
        yield Proposal("site", row.name, AdmitSite(site.id, holder, site.commitment))


def _enrol(
    store: PrivateStore, table: str, name: str, identifier: str | None, attributes: Attributes, at_s: int
) -> Person:
    person = store.enrol(table, name, _id(identifier), attributes, at_s)
    store.amend(person, attributes, at_s=at_s)
    return person


def _devices(roster: Roster, store: PrivateStore) -> Iterator[Proposal]:
    for row in roster.devices:
        device = store.enrol("devices", row.name, _id(row.id))
        site = _known(store, "sites", row.site, f"devices.{row.name}.site")
        key = bytes.fromhex(row.public_key)
        body = AdmitDevice(device.id, site, key, ROLES[row.role], row.rated_power_w, GRADES[row.grade])
        yield Proposal("device", row.name, body)


def _gateways(roster: Roster, store: PrivateStore) -> Iterator[Proposal]:
    for row in roster.gateways:
        gateway = store.enrol("gateways", row.known_as, _id(row.id))
        yield Proposal("gateway", row.known_as, AdmitGateway(gateway.id, bytes.fromhex(row.public_key)))


def _id(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _known(store: PrivateStore, table: str, name: str, where: str) -> bytes:
    row = store.find(table, name)
    if row is None:
        raise UserError(
            _("nobody of {table} is called {name!r}").format(table=table, name=name),
            where=where,
            to_do=_("write the name as in this roster or an earlier one"),
        )
    return row.id


def _is_admitted(proposal: Proposal, state: State) -> bool:
    row = state.admissions.by_id.get(proposal.body.id)
    if row is None:
        return False
    if _facts(row.admission) != _facts(proposal.body):
        raise UserError(
            _("{kind} {name!r} is admitted already, with other facts").format(kind=proposal.kind, name=proposal.name),
            to_do=_("a key or a holder is not changed by admitting again; give the newcomer another name"),
        )
    return True


def _facts(admission: Admission) -> Admission:
    """An admission without its commitment: a lost private store must not make everybody a stranger."""
    if isinstance(admission, AdmitAccount | AdmitSite):
        return replace(admission, commitment=bytes(32))
    return admission


def _expect_placed(proposal: Proposal, answer: Placed | Refused) -> None:
    if isinstance(answer, Refused):
        raise UserError(
            _("{kind} {name!r} is refused: {why}").format(
                kind=proposal.kind, name=proposal.name, why=answer.refusal.label
            ),
            to_do=_("what stands before it in the roster is admitted; mend this one and repeat the whole roster"),
        )
