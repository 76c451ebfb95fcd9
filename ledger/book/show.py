"""Entries and balances as people read them. Pure: values in, lines out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.units import format_credits, format_kwh
from ledger.book import entry
from ledger.book.body import (
    AdmitAccount,
    AdmitDevice,
    AdmitGateway,
    AdmitSite,
    Body,
    MintRun,
    Policy,
    SetStatus,
    Transfer,
)
from ledger.book.genesis import Genesis
from ledger.book.kinds import ISSUANCE, Subject
from ledger.book.mint import SOURCE_PRODUCTION, Mint
from ledger.book.state import State

Names = Mapping[bytes, str]
"""What the reader knows about ids; the log itself holds no names."""


def describe(place: int, data: bytes, names: Names) -> str:
    """One line about one entry."""
    try:
        parsed = entry.parse(data)
    except FormatError as error:
        return _("{place}  unreadable: {error}").format(place=place, error=error)
    if isinstance(parsed, Mint):
        return f"{place}  {_time(parsed.window_start_s)}  {parsed.kind.label:8}  {_mint(parsed, names)}"
    body = parsed.entry.body
    return f"{place}  {_time(parsed.entry.time_s)}  {body.kind.label:8}  {_say(body, names)}"


def name_of(account: bytes, names: Names) -> str:
    """The name if it is known, otherwise the id."""
    return names.get(account) or (_("issuance") if account == ISSUANCE else account.hex())


def balances(state: State, names: Names) -> Iterator[tuple[str, str, str, int]]:
    """Id, what it is, name and balance in mc of every account, the issuance account first."""
    for account in sorted(state.book.accounts):
        found = state.admissions.account(account)
        is_association = account == state.founded.genesis.association
        subject = found[0].subject if found else Subject.ASSOCIATION if is_association else None
        kind = subject.name.lower() if subject else _("issuance")
        yield account.hex(), kind, names.get(account, ""), state.book.balance_mc(account)


def _say(body: Body, names: Names) -> str:
    match body:
        case Genesis():
            return _("commune {commune}, log {origin}, {kind}").format(
                commune=body.commune, origin=body.origin, kind=_("a trial") if body.trial else _("real")
            )
        case SetStatus():
            return _("{subject} {id} is now {status}: {reason}").format(
                subject=body.subject.name.lower(),
                id=name_of(body.id, names),
                status=body.status.name.lower(),
                reason=body.reason,
            )
        case Policy():
            return _("version {version}, {sha256}").format(version=body.policy_version, sha256=body.sha256.hex())
        case MintRun():
            return _("{count} mints, {energy}, {credits} credits, window {start} to {end}").format(
                count=body.count,
                energy=format_kwh(body.energy_wh),
                credits=format_credits(body.total_mc),
                start=_time(body.window_start_s),
                end=_time(body.window_end_s),
            )
        case Transfer():
            return _("{credits} credits from {payer} to {payee} {memo}").format(
                credits=format_credits(body.amount_mc),
                payer=name_of(body.payer, names),
                payee=name_of(body.payee, names),
                memo=repr(body.memo) if body.memo else "",
            )
        case _admission:
            return _admitted(_admission, names)


def _admitted(body: AdmitAccount | AdmitSite | AdmitDevice | AdmitGateway, names: Names) -> str:
    subject = f"{body.subject.name.lower()} {name_of(body.id, names)}"
    match body:
        case AdmitSite():
            return _("{subject} of {member}").format(subject=subject, member=name_of(body.member, names))
        case AdmitDevice():
            return _("{subject} at site {site}, {role}, {power} W").format(
                subject=subject,
                site=name_of(body.site, names),
                role=body.role.name.lower(),
                power=body.rated_power_w,
            )
        case _:
            return subject


def _mint(mint: Mint, names: Names) -> str:
    source = _("solar production") if mint.source == SOURCE_PRODUCTION else _("matched consumption")
    return _("{credits} credits to {account} for {energy} of {source}, {share} to the association").format(
        credits=format_credits(mint.amount_mc),
        account=name_of(mint.account, names),
        energy=format_kwh(mint.energy_wh),
        source=source,
        share=format_credits(mint.association_mc),
    )


def _time(time_s: int) -> str:
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # a time beyond what a calendar holds is shown as it is
        return str(time_s)
