"""Euros in and out: what a shop gives back and gets for it, and the cash book of the reserve. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from aggregator.policy.rules import Policy
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.units import parse_credits
from ledger.book.payments import MC_PER_CENT
from ledger.book.state import State
from web.money.tally import Euros
from web.visitor import Sorry

PERMILLE = 1000


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the cash book, and the euros in the reserve after it."""

    euros: Euros
    balance_cents: int


def fee_permille(state: State) -> int:
    """What the policy in force keeps of a reconversion; nothing where there is none that can be read."""
    in_force = state.policy_in_force
    if in_force is None:
        return 0
    try:
        return Policy.parse(state.policy_texts[in_force], where="").rules.euro.redeem_fee_permille
    except UserError:
        return 0


def paid_cents(amount_mc: int, fee: int) -> int:
    """The euros for so many euro credits; the fee is rounded up to the cent, in favour of the reserve."""
    return amount_mc * (PERMILLE - fee) // (PERMILLE * MC_PER_CENT)


def cash_book(rows: Iterable[Euros]) -> list[Line]:
    """Every movement of the reserve, the oldest first."""
    book, balance_cents = [], 0
    for row in rows:
        balance_cents += row.paid_cents
        book.append(Line(row, balance_cents))
    return book


def read_cents(text: str) -> int:
    """An amount of euros, or of euro credits, to the cent, in cents; comma or point. Sorry if it is none."""
    try:
        amount_mc = parse_credits(text.replace("\u00a0", "").replace("\u202f", "").removesuffix("€"))
    except ValueError:
        raise Sorry(
            _("“{text}” is no amount.").format(text=text[:20]), _("Write it like this: 12,50 or 12.50.")
        ) from None
    if amount_mc % MC_PER_CENT:
        raise Sorry(_("A euro has a hundred cents."), _("Write at most two digits after the comma."))
    if amount_mc == 0:
        raise Sorry(_("The amount is nothing."), _("Write an amount above zero."))
    return amount_mc // MC_PER_CENT
