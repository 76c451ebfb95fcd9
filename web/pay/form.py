"""What the browser is told of a payment that it will put together and sign: static/wallet/pay.js reads it."""

from commonwatt.i18n import _
from ledger.book.units import Unit, account_in, holder_of, unit_of
from web.book.books import Books
from web.facts import Facts
from web.looks import Words
from web.names import Names
from web.pay import purse
from web.pay.codes import Code
from web.pay.fields import Values
from web.roles import key_of
from web.units import spoken
from web.visitor import Ask

DIRECT_S = 30 * 86_400
"""How long a payment that was prepared without a connection may wait for one."""


def has(words: Words, free_mc: int, unit: str) -> str:
    """What somebody has, or owes, in a sentence for them."""
    amount = words.amount(abs(free_mc), unit)
    return (_("You owe {amount}.") if free_mc < 0 else _("You have {amount}.")).format(amount=amount)


class PaymentForm:
    """Of one commune."""

    def __init__(self, books: Books, facts: Facts, names: Names) -> None:
        self._books, self._facts, self._names = books, facts, names

    def of_code(self, ask: Ask, code: Code, payment: bytes) -> Values:
        """What a code asks for. `payment`: the code's own where it is paid once."""
        return {
            **self._of_payer(ask, unit_of(code.account)),
            **self._of_payee(holder_of(code.account)),
            "to": code.account.hex(),
            "id": payment.hex(),
            "amount_mc": code.amount_mc,
            "memo": code.memo,
            "expires_s": code.expires_s or ask.now_s + DIRECT_S,
        }

    def of_payee(self, ask: Ask, holder: bytes, unit: Unit, payment: bytes) -> Values:
        """To somebody who was chosen. `payment`: its id, which stays the same when the page is loaded again."""
        return {
            **self._of_payer(ask, unit),
            **self._of_payee(holder),
            "to": account_in(holder, unit).hex(),
            "id": payment.hex(),
            "amount_mc": None,
            "memo": "",
            "expires_s": ask.now_s + DIRECT_S,
        }

    def without_payee(self, ask: Ask) -> Values:
        """For the page that is kept for when there is no connection: whom to pay stands in its address."""
        told = {"payee": "", "to": "", "id": "", "amount_mc": None, "memo": "", "expires_s": None}
        return {**self._of_payer(ask, Unit.ENERGY), **told}

    def _of_payee(self, holder: bytes) -> Values:
        return {"payee": self._names.of(holder)}

    def _of_payer(self, ask: Ask, unit: Unit) -> Values:
        holder = ask.visitor.subject
        with self._books.now() as book:
            mine = purse.purse_of(book.state, account_in(holder, unit))
            wallet = key_of(book.state, holder) or b""
            name = spoken(book.state)[unit]
        return {
            "from": mine.account.hex(),
            "wallet": wallet.hex(),
            "genesis": self._facts.genesis_sha256,
            "unit": name,
            "free_mc": mine.free_mc,
            "soft_mc": mine.soft_mc,
            "hard_mc": mine.hard_mc,
            "now_s": ask.now_s,
        }
