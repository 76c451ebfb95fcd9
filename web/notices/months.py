"""A member's month as a letter: what came in and went out, by rows of the index. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.i18n import _
from ledger.book.kinds import Kind
from ledger.book.units import Unit
from web.account.sentences import source
from web.book.index import Row
from web.looks import Words
from web.mail.letters import Letter
from web.month import Month


@dataclass(frozen=True, slots=True)
class MonthOf:
    """Energy credits of one account in a month. `earned_mc`: by source; `other_mc`: charges, reversals, euros."""

    month: Month
    balance_mc: int
    earned_mc: dict[int, int]
    received_mc: int
    paid_mc: int
    other_mc: int

    @classmethod
    def of(cls, month: Month, rows: Sequence[Row], balance_mc: int) -> "MonthOf":
        """From the rows of the month; `balance_mc`: at its end."""
        earned: Counter[int] = Counter()
        received_mc = paid_mc = other_mc = 0
        for row in rows:
            if row.unit is not Unit.ENERGY or not row.amount_mc:
                continue
            if row.kind is Kind.MINT:
                earned[row.detail] += row.amount_mc
            elif row.kind in (Kind.TRANSFER, Kind.PAYMENT_ANSWER):
                received_mc += max(row.amount_mc, 0)
                paid_mc += max(-row.amount_mc, 0)
            else:
                other_mc += row.amount_mc
        return cls(month, balance_mc, dict(earned.most_common()), received_mc, paid_mc, other_mc)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing happened: then there is no letter."""
        return not (self.earned_mc or self.received_mc or self.paid_mc or self.other_mc)


def letter(email: str, name: str, about: MonthOf, words: Words, *, title: str, url: str, end_url: str) -> Letter:
    """In the language that is spoken. `url`: where the pages are; `end_url`: where such letters end."""
    month = words.month(about.month)
    earned_mc = sum(about.earned_mc.values())
    lines = [_("Earned: {amount}").format(amount=words.in_credits(earned_mc))]
    lines += [f"  {source(number)}: {words.exact(amount_mc)}" for number, amount_mc in about.earned_mc.items()]
    lines += [
        _("Received: {amount}").format(amount=words.in_credits(about.received_mc)),
        _("Paid: {amount}").format(amount=words.in_credits(about.paid_mc)),
    ]
    if about.other_mc:
        lines.append(_("Everything else: {amount}").format(amount=words.in_credits(about.other_mc)))
    lines.append(_("On your account at its end: {amount}").format(amount=words.in_credits(about.balance_mc)))
    text = _("Hello {name},\n\nyour {month} in {title}:\n\n{lines}\n\nEach movement, and why:\n{url}\n").format(
        name=name, month=month, title=title, lines="\n".join(lines), url=f"{url}/movements"
    )
    text += _("\nNo such letters any more:\n{url}\n").format(url=end_url)
    return Letter(email, _("Your {month} in {title}").format(month=month, title=title), text, end_url)
