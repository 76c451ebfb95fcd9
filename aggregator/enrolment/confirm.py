"""The steward's word on a claim: it becomes an admission like one of a roster, or is rejected."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from aggregator.commune import admission
from aggregator.commune.admission import Proposal
from aggregator.commune.directory import CommuneDirectory
from aggregator.commune.roster import Device, Roster, Site
from aggregator.enrolment import judge
from aggregator.enrolment.judge import Label, Received, Unfit
from aggregator.enrolment.store import enrolling
from aggregator.private.store import PrivateStore
from commonwatt import settings
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey
from commonwatt.registry import Status
from ledger import door
from ledger.app import LOG
from ledger.book.body import AdmitSite
from ledger.book.replay import replay_slots
from ledger.book.state import State
from ledger.log.published import PublishedLog


class LabelLine(settings.Settings):
    """The line that `commonwatt device enrol` prints, as it stands in a file of them."""

    device: str = Field(pattern=r"^[0-9a-f]{32}$")
    public_key: str = Field(pattern=r"^[0-9a-f]{64}$")
    claim_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    label: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A claim as a steward sees it. `member`: who claims; `sites`: names of the member's sites."""

    received: Received
    member: str
    sites: tuple[str, ...]
    unfit: Unfit | None

    @property
    def device(self) -> bytes:
        """Whose claim it is."""
        return self.received.claim.device


def read_labels(text: str, *, where: object, **terms: Any) -> Iterator[Label]:
    """Labels from lines of JSON; `terms`: what all of them are admitted with. UserError names a bad line."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(_("is not JSON"), where=place, to_do=_("copy what device enrol printed")) from error
        if not isinstance(value, dict):
            raise UserError(_("is not JSON"), where=place, to_do=_("copy what device enrol printed"))
        read = settings.validate(LabelLine, value, where=place)
        ids = (bytes.fromhex(read.device), bytes.fromhex(read.public_key), bytes.fromhex(read.claim_sha256))
        yield Label(*ids, **terms)


def waiting(directory: Path) -> list[Listed]:
    """Every claim that was received, the first received first. The aggregator may be running."""
    return of(directory, replay_slots(PublishedLog(directory / LOG).slots()))


def of(directory: Path, state: State) -> list[Listed]:
    """The same for who follows the log."""
    place = CommuneDirectory(directory)
    store = PrivateStore(place.private_db)
    with enrolling(place.private_db) as enrolment:
        labels, claims = enrolment.labels(), enrolment.claims()
    return [
        Listed(
            claim,
            store.name_of(claim.claim.account),
            tuple(sorted(store.name_of(site) for site in _sites_of(state, claim.claim.account))),
            judge.check(claim, labels, state.admissions),
        )
        for claim in claims
    ]


def find(claims: list[Listed], device: str) -> Listed:
    """The claim of a device, named by its id or the beginning of it; UserError if there is none, or several."""
    found = [row for row in claims if row.device.hex().startswith(device.lower())]
    if len(device) < 4 or len(found) != 1:
        raise UserError(
            _("no claim is of a device {device!r}").format(device=device),
            to_do=_("copy its first column from commonwatt enrol list"),
        )
    return found[0]


def confirm(
    directory: Path,
    claim: Listed,
    *,
    site: str,
    is_new_site: bool,
    name: str,
    steward: SigningKey,
    time_s: int,
) -> list[tuple[Proposal, bool]]:
    """Admit the device of a claim at a site of the member (the only one unless `site` names it), which is admitted
    too if `is_new_site`. UserError says why not."""
    store = PrivateStore(CommuneDirectory(directory).private_db)
    proposals = propose(directory, claim, store, site=site, is_new_site=is_new_site, name=name, time_s=time_s)
    with door.opened(directory) as ledger:
        store.save()
        return admission.admit(proposals, ledger, steward=steward, time_s=time_s)


def propose(
    directory: Path, claim: Listed, store: PrivateStore, *, site: str, is_new_site: bool, name: str, time_s: int
) -> list[Proposal]:
    """The admissions that confirm a claim, names enrolled in `store`, which is not saved yet. UserError says why
    there are none."""
    if claim.unfit is not None:
        raise UserError(
            _("this claim cannot be confirmed: {why}").format(why=claim.unfit.value),
            where=claim.device.hex(),
            to_do=_("see docs/operating/enrolment.md for what to do about it"),
        )
    with enrolling(CommuneDirectory(directory).private_db) as enrolment:
        label = enrolment.labels()[claim.device]
    at = site if is_new_site else _site_of(claim, site)
    device = Device(
        name=name or f"{at} {label.device.hex()[:8]}",
        id=label.device.hex(),
        site=at,
        public_key=label.public_key.hex(),
        role=label.role,  # type: ignore[arg-type]  # checked by the model
        rated_power_w=label.rated_power_w,
        grade=label.grade,  # type: ignore[arg-type]
    )
    roster = Roster(sites=[Site(name=at, member=claim.member)] if is_new_site else [], devices=[device])
    return admission.propose(roster, store, at_s=time_s)


def reject(directory: Path, claim: Listed, why: str) -> None:
    """Say no to a claim; another one of the device may come."""
    if claim.unfit is Unfit.ADMITTED_BEFORE:
        raise UserError(
            _("this device is admitted"), where=claim.device.hex(), to_do=_("revoke it with commonwatt ledger enter")
        )
    with enrolling(CommuneDirectory(directory).private_db) as enrolment:
        enrolment.reject(claim.device, why)


def _site_of(claim: Listed, site: str) -> str:
    if site in claim.sites:
        return site
    if not site and len(claim.sites) == 1:
        return claim.sites[0]
    raise UserError(
        _("{member} has these sites: {sites}").format(member=claim.member, sites=", ".join(claim.sites) or "–"),
        to_do=_("name one of them with --site, or a further one with --new-site"),
    )


def _sites_of(state: State, account: bytes) -> Iterator[bytes]:
    for site, row in state.admissions.by_id.items():
        if isinstance(row.admission, AdmitSite) and row.admission.member == account and row.status < Status.REVOKED:
            yield site
