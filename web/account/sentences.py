"""Why each movement is, in one sentence for the person whose account it is; and what they earned of late."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aggregator.policy.rules import Policy
from commonwatt.i18n import _
from commonwatt.registry import Status
from commonwatt.units import WH_PER_KWH
from ledger.book import mint
from ledger.book.body import (
    AdmitAccount,
    AdmitDevice,
    Body,
    CreditLimit,
    Guard,
    Hold,
    PaymentAnswer,
    PaymentRequest,
    Redeem,
    Release,
    Reverse,
    Rotate,
    SetStatus,
    TopUp,
    Transfer,
)
from ledger.book.kinds import DeviceRole, Kind, Subject
from ledger.book.measures import Cause
from ledger.book.payments import Verdict
from ledger.book.units import Unit, holder_of, unit_of
from web import units
from web.account.behind import Line, Plug
from web.account.movements import Movement, Together
from web.looks import Words
from web.names import Names

MATCHED = mint.SOURCE_MATCHED

MOSTLY_PERMILLE = 900
"""A plug that used so much of what neighbours covered is named alone."""


@dataclass(frozen=True, slots=True)
class Known:
    """What sentences of an account are made from. `meters`: the holder's own, by id; `unit_names`: beside energy;
    `lines`: behind mints, by place; `policies`: by the place of a mint; None: not one of today's kind."""

    holder: bytes
    names: Names
    meters: Mapping[bytes, DeviceRole]
    unit_names: Mapping[Unit, str]
    lines: Mapping[int, Sequence[Line]] = field(default_factory=dict)
    policies: Mapping[int, Policy | None] = field(default_factory=dict)

    def name(self, account: bytes) -> str:
        """Of whoever is at the other side; they stand in an entry of this holder."""
        found = self.names.everybody().get(holder_of(account))
        return found.name if found is not None else _("somebody who has left")

    def meter(self, device: bytes) -> str:
        """What a person calls a meter of theirs."""
        match self.meters.get(device):
            case DeviceRole.PRODUCTION:
                return _("your roof")
            case DeviceRole.SUB_METER:
                return _("“{name}”").format(name=self.names.now().name_of(device))
            case DeviceRole.MAIN:
                return _("your main meter")
            case _:
                return _("a meter")


def amount(words: Words, known: Known, unit: Unit, amount_mc: int) -> str:
    """An amount with the name of its unit."""
    return units.amount(words, known.unit_names, unit, amount_mc)


def title(movement: Movement, known: Known) -> str:
    """What a movement is, in a few words."""
    row, body = movement.row, movement.body
    match row.kind:
        case Kind.MINT:
            return source(row.detail)
        case Kind.MINT_RUN:
            return _("Share of what everybody earned")
        case Kind.CHARGE:
            return _cause(Cause(row.detail), row.amount_mc)
        case _:
            return _("An entry that was erased") if body is None else _title(body, movement, known)


def source(number: int) -> str:
    """What a source of credits is called."""
    return {
        mint.SOURCE_PRODUCTION: _("Local production"),
        mint.SOURCE_MATCHED: _("Neighbours’ sun"),
        mint.SOURCE_SAVINGS: _("Energy saved"),
        mint.SOURCE_SHIFTING: _("Use moved out of a peak"),
        mint.SOURCE_HEAT: _("Renewable heat"),
        mint.SOURCE_DECLARED: _("Given to the neighbours"),
    }[number]


def because(number: int) -> str:
    """Where credits came from, to be said after their amount."""
    return {
        mint.SOURCE_PRODUCTION: _("from your roof"),
        mint.SOURCE_MATCHED: _("because you used your neighbours’ sun"),
        mint.SOURCE_SAVINGS: _("because you saved energy"),
        mint.SOURCE_SHIFTING: _("because you used less in a peak"),
        mint.SOURCE_HEAT: _("from renewable heat"),
        mint.SOURCE_DECLARED: _("for what you gave the neighbours"),
    }[number]


def because_of_plugs(plugs: Sequence[Plug], covered_wh: int, amount_mc: int, words: Words, known: Known) -> str:
    """The same of neighbours' sun, with the thing that used most of it."""
    if not plugs or covered_wh <= 0:
        return because(mint.SOURCE_MATCHED)
    name = known.meter(plugs[0].device)
    if plugs[0].energy_wh * 1000 >= covered_wh * MOSTLY_PERMILLE:
        return _("because you ran {thing} on your neighbours’ sun").format(thing=name)
    part = words.exact(amount_mc * plugs[0].energy_wh // covered_wh)
    return _("because you used your neighbours’ sun ({part} of it for {thing})").format(part=part, thing=name)


def why(group: Together, words: Words, known: Known) -> str:
    """One sentence."""
    movement = group.first
    match movement.row.kind:
        case Kind.MINT:
            return _minted(group, words, known)
        case Kind.MINT_RUN:
            return _("What the policy gives the association of all that was earned.")
        case Kind.CHARGE:
            return _charged(Cause(movement.row.detail), movement.row.amount_mc)
        case _:
            body = movement.body
            return (
                _("Its content was erased; its place in the log is left.")
                if body is None
                else _why(body, movement, words, known)
            )


def _minted(group: Together, words: Words, known: Known) -> str:
    leaves = [movement.mint for movement in group.movements if movement.mint is not None]
    if not leaves:
        return _("Its content was erased; its place in the log is left.")
    lines = [line for movement in group.movements for line in known.lines.get(movement.place, ())]
    energy_wh = sum(leaf.energy_wh for leaf in leaves)
    share_mc = sum(leaf.association_mc for leaf in leaves)
    gross_mc = sum(leaf.amount_mc for leaf in leaves) + share_mc
    times = lines or [Line(b"", leaf.window_start_s, leaf.window_end_s, 0, 0) for leaf in leaves]
    when = words.between(min(line.start_s for line in times), max(line.end_s for line in times), on=group.day)
    what = _measured(leaves[0].source).format(
        energy=words.energy(energy_wh) if energy_wh >= WH_PER_KWH else words.kwh(energy_wh), when=when
    )
    made = words.in_credits(gross_mc)
    if energy_wh:
        rate = words.exact(gross_mc * WH_PER_KWH // energy_wh)
        made = _("{amount} at {rate} a kWh").format(amount=made, rate=rate)
    if not share_mc:
        return _("{what}: {made}.").format(what=what, made=made)
    return _("{what}: {made}, of which {share} went to the association.").format(
        what=what, made=made, share=words.exact(share_mc)
    )


def _measured(number: int) -> str:
    """What was measured, with {energy} and {when} to be filled in."""
    match number:
        case mint.SOURCE_PRODUCTION:
            return _("Your roof made {energy}, {when}")
        case mint.SOURCE_MATCHED:
            return _("You used {energy} of your neighbours’ sun, {when}")
        case mint.SOURCE_SAVINGS:
            return _("You used {energy} less than usual, {when}")
        case mint.SOURCE_SHIFTING:
            return _("You used {energy} less in a peak, as the grid’s operator had asked, {when}")
        case mint.SOURCE_HEAT:
            return _("Your meter counted {energy} of renewable heat, {when}")
        case _:
            return _("A second person confirmed what you declared, {when}")


def _cause(cause: Cause, amount_mc: int) -> str:
    if amount_mc > 0:
        return _("What members contributed")
    match cause:
        case Cause.LEVY:
            return _("Contribution to the association")
        case Cause.DEMURRAGE:
            return _("Credits that lay idle")
        case Cause.EXPIRY:
            return _("Credits that expired")


def _charged(cause: Cause, amount_mc: int) -> str:
    if amount_mc > 0:
        return _("The policy takes it from every account for the association.")
    match cause:
        case Cause.LEVY:
            return _("The policy takes the same from every account, for the association.")
        case Cause.DEMURRAGE:
            return _("The policy takes a share of what an account holds without spending it, for the association.")
        case Cause.EXPIRY:
            return _("They were received before the last expiry and not spent since: the policy gives them on.")


def _title(body: Body, movement: Movement, known: Known) -> str:
    match body:
        case Transfer():
            return _paid(body, known)
        case PaymentRequest():
            is_mine = holder_of(body.payee) == known.holder
            text = _("You ask {name}") if is_mine else _("{name} asks you")
            return text.format(name=known.name(body.payer if is_mine else body.payee))
        case PaymentAnswer():
            return _answered(body, movement, known)
        case TopUp():
            return _("Bought with euros")
        case Redeem():
            return _("Changed back into euros")
        case Reverse():
            return _("Taken back")
        case Hold():
            return _("Held back for a look")
        case Release():
            return _("Look finished: granted") if body.is_granted else _("Look finished: refused")
        case CreditLimit():
            return _("A limit of your own")
        case Rotate() | Guard():
            return _("Your key")
        case SetStatus():
            return _("Standing")
        case AdmitAccount():
            return _("Your account begins")
        case AdmitDevice():
            return _("A meter was admitted")
        case _:
            return _("Your place was admitted")


def _paid(body: Transfer | PaymentRequest, known: Known) -> str:
    is_payer = holder_of(body.payer) == known.holder
    text = _("To {name}") if is_payer else _("From {name}")
    return text.format(name=known.name(body.payee if is_payer else body.payer))


def _answered(body: PaymentAnswer, movement: Movement, known: Known) -> str:
    asked = movement.earlier[0].body if movement.earlier else None
    if not isinstance(asked, PaymentRequest):
        return _("An answer to a request")
    if movement.row.amount_mc:
        return _paid(asked, known)
    return {
        Verdict.ACCEPT: _("Put aside for {name}"),
        Verdict.DECLINE: _("Declined: {name}"),
        Verdict.SETTLE: _("Paid to {name}"),
        Verdict.WITHDRAW: _("Withdrawn: {name}"),
    }[body.verdict].format(name=known.name(asked.payee if holder_of(asked.payer) == known.holder else asked.payer))


def _why(body: Body, movement: Movement, words: Words, known: Known) -> str:
    match body:
        case Transfer() | PaymentRequest():
            return _memo(body.memo)
        case PaymentAnswer():
            asked = movement.earlier[0].body if movement.earlier else None
            memo = asked.memo if isinstance(asked, PaymentRequest) else ""
            return _("An answer to a request. {memo}").format(memo=_memo(memo)).strip()
        case TopUp() | Redeem():
            return _("{euros} € by bank, reference {reference}.").format(
                euros=words.exact(body.paid_cents * 10), reference=body.reference or _("none")
            )
        case Reverse():
            before = _title(movement.earlier[0].body, _before(movement), known) if movement.earlier else ""
            said = _("The association took back “{what}”: {reason}") if before else _("The association: {reason}")
            return said.format(what=before, reason=body.reason)
        case Hold():
            return _("{amount} from “{source}” wait until somebody has looked at the meter: {reason}").format(
                amount=words.in_credits(body.amount_mc), source=source(body.source), reason=body.reason
            )
        case Release():
            return body.reason
        case CreditLimit():
            return _("You may go down to −{hard}; from −{soft} on you are warned.").format(
                hard=amount(words, known, unit_of(body.account), body.hard_mc), soft=words.exact(body.soft_mc)
            )
        case _:
            return _why_admitted(body, known)


def _why_admitted(body: Body, known: Known) -> str:
    match body:
        case Rotate() if body.subject is Subject.DEVICE:
            return _("A meter of yours has a new key.")
        case Rotate():
            return _("From here on a new key signs for your account.")
        case Guard():
            return _("You chose who may give your account a new key.")
        case SetStatus():
            standing = {
                Status.ACTIVE: _("It is active."),
                Status.SUSPENDED: _("It is suspended for now."),
                Status.REVOKED: _("It is closed for good."),
            }[body.status]
            return f"{standing} {body.reason}".strip()
        case AdmitDevice():
            return known.meter(body.id)[:1].upper() + known.meter(body.id)[1:] + "."
        case _:
            return ""


def _before(movement: Movement) -> Movement:
    """The movement that a reversal takes back, as far as its title needs it."""
    row = movement.row._replace(amount_mc=-movement.row.amount_mc)
    return Movement(row, movement.earlier[0], movement.earlier[1:])


def _memo(memo: str) -> str:
    return _("“{memo}”").format(memo=memo) if memo else ""
