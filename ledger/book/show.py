"""Entries and balances as people read them. Pure: values in, lines out."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.units import format_credits, format_kwh
from ledger.book import entry
from ledger.book.body import (
    Admission,
    AdmitDevice,
    AdmitRole,
    AdmitSite,
    AdmitWitness,
    Body,
    CarryForward,
    Charge,
    CreditLimit,
    Guard,
    Hold,
    MintRun,
    PaymentAnswer,
    PaymentRequest,
    Policy,
    Redeem,
    Release,
    Reverse,
    Rotate,
    SetStatus,
    TopUp,
    Transfer,
)
from ledger.book.genesis import Genesis
from ledger.book.kinds import Subject
from ledger.book.measures import Cause
from ledger.book.mint import Mint
from ledger.book.payments import Verdict
from ledger.book.state import State
from ledger.book.units import ISSUANCE, OUTSIDE, RESERVE, Unit, holder_of, unit_of

Names = Mapping[bytes, str]
"""What the reader knows about ids; the log itself holds no names."""


def describe(place: int, data: bytes, names: Names) -> str:
    """One line about one entry; an empty one was erased."""
    if not data:
        return _("{place}  erased").format(place=place)
    try:
        parsed = entry.parse(data)
    except FormatError as error:
        return _("{place}  unreadable: {error}").format(place=place, error=error)
    if isinstance(parsed, Mint):
        return f"{place}  {_time(parsed.window_start_s)}  {parsed.kind.label:8}  {_mint(parsed, names)}"
    body = parsed.entry.body
    return f"{place}  {_time(parsed.entry.time_s)}  {body.kind.label:8}  {_say(body, names)}"


def name_of(account: bytes, names: Names) -> str:
    """The holder's name if it is known, otherwise the id; amounts say which unit is meant."""
    holder = holder_of(account)
    return names.get(holder) or _SYSTEM.get(holder) or holder.hex()


def amount(account: bytes, amount_mc: int) -> str:
    """An amount of the unit that an account is in: "1.000 credits"."""
    return f"{format_credits(amount_mc)} {_UNITS[unit_of(account)]}"


_SYSTEM = {ISSUANCE: _("issuance"), RESERVE: _("reserve"), OUTSIDE: _("outside")}
_UNITS = {
    Unit.ENERGY: _("credits"),
    Unit.EURO: _("euro credits"),
    Unit.MUTUAL: _("mutual credits"),
    Unit.HOURS: _("hours"),
}
_CAUSES = {Cause.LEVY: _("levy"), Cause.DEMURRAGE: _("demurrage"), Cause.EXPIRY: _("expiry")}
_VERDICTS = {
    Verdict.ACCEPT: _("accepted"),
    Verdict.DECLINE: _("declined"),
    Verdict.SETTLE: _("settled"),
    Verdict.WITHDRAW: _("withdrawn"),
}


def balances(state: State, names: Names) -> Iterator[tuple[str, str, str, int]]:
    """Id, what it is, name and balance in mc of every account, issuance first; longer ids end in the unit."""
    for account in sorted(state.book.accounts):
        holder = holder_of(account)
        found = state.admissions.account(holder)
        is_association = holder == state.founded.genesis.association
        subject = found[0].subject if found else Subject.ASSOCIATION if is_association else None
        kind = subject.name.lower() if subject else _SYSTEM.get(holder, _("erased"))
        yield account.hex(), kind, names.get(holder, ""), state.book.balance_mc(account)


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
            return _("{amount} from {payer} to {payee} {memo}").format(
                amount=amount(body.payer, body.amount_mc),
                payer=name_of(body.payer, names),
                payee=name_of(body.payee, names),
                memo=_quoted(body.memo),
            )
        case PaymentRequest():
            return _("{payee} asks {payer} for {amount} {memo}").format(
                amount=amount(body.payer, body.amount_mc),
                payer=name_of(body.payer, names),
                payee=name_of(body.payee, names),
                memo=_quoted(body.memo),
            )
        case PaymentAnswer():
            return _("request {id} is {verdict}").format(id=body.request.hex(), verdict=_VERDICTS[body.verdict])
        case TopUp():
            return _("{amount} to {account} for {euros} euros that came in {memo}").format(
                amount=amount(body.account, body.amount_mc),
                account=name_of(body.account, names),
                euros=_euros(body.paid_cents),
                memo=_quoted(body.reference),
            )
        case Redeem():
            return _("{amount} back from {account} for {euros} euros paid out {memo}").format(
                amount=amount(body.account, body.amount_mc),
                account=name_of(body.account, names),
                euros=_euros(body.paid_cents),
                memo=_quoted(body.reference),
            )
        case Rotate():
            return _("{subject} {id} has a new key").format(
                subject=body.subject.name.lower(), id=name_of(body.id, names)
            )
        case Guard():
            return _("{account} can be recovered by {k} of {count} keys and the association").format(
                account=name_of(body.account, names), k=body.k, count=len(body.public_keys)
            )
        case AdmitSite() | AdmitDevice() | AdmitWitness() | AdmitRole():
            return _admitted(body, names)
        case CreditLimit() | Charge() | Reverse() | Hold() | Release() | CarryForward():
            return _measure(body, names)
        case _admission:
            return f"{_admission.subject.name.lower()} {name_of(_admission.id, names)}"


def _measure(body: CreditLimit | Charge | Reverse | Hold | Release | CarryForward, names: Names) -> str:
    match body:
        case CreditLimit():
            return _("{account} may go down to -{hard}, is warned from -{soft} on").format(
                account=name_of(body.account, names),
                hard=amount(body.account, body.hard_mc),
                soft=format_credits(body.soft_mc),
            )
        case Charge():
            return _("{cause} of {total} {unit}, {start} to {end}").format(
                cause=_CAUSES[body.cause],
                total=format_credits(body.total_mc),
                unit=_UNITS[body.unit],
                start=_time(body.period_start_s),
                end=_time(body.period_end_s),
            )
        case Reverse():
            return _("{amount} of entry {id} are reversed: {reason}").format(
                amount=format_credits(body.amount_mc), id=body.entry.hex(), reason=body.reason
            )
        case Hold():
            return _("{credits} credits of {account} are held, {start} to {end}: {reason}").format(
                credits=format_credits(body.amount_mc),
                account=name_of(body.account, names),
                start=_time(body.window_start_s),
                end=_time(body.window_end_s),
                reason=body.reason,
            )
        case Release():
            return _("hold {id} ends, {verdict}: {reason}").format(
                id=body.hold.hex(),
                verdict=_("granted") if body.is_granted else _("refused for good"),
                reason=body.reason,
            )
        case CarryForward():
            return _("{count} balances are carried over {erased} erased entries: {reason}").format(
                count=len(body.accounts), erased=sum(count for _first, count in body.erased), reason=body.reason
            )


def _admitted(body: Admission, names: Names) -> str:
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
        case AdmitWitness():
            return f"{subject}, {body.name}"
        case AdmitRole():
            return f"{subject}, {body.role}"
        case _:
            return subject


def source_name(source: int) -> str:
    """What people call a source of mints."""
    names = (
        *(_("solar production"), _("matched consumption"), _("savings"), _("shifting"), _("renewable heat")),
        _("declared value"),
    )
    return names[source - 1]


def _mint(mint: Mint, names: Names) -> str:
    return _("{credits} credits to {account} for {energy} of {source}, {share} to the association").format(
        credits=format_credits(mint.amount_mc),
        account=name_of(mint.account, names),
        energy=format_kwh(mint.energy_wh),
        source=source_name(mint.source),
        share=format_credits(mint.association_mc),
    )


def _quoted(text: str) -> str:
    return repr(text) if text else ""


def _euros(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _time(time_s: int) -> str:
    try:
        return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (OverflowError, ValueError, OSError):  # a time beyond what a calendar holds is shown as it is
        return str(time_s)
