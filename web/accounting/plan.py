"""What a shop's accountant wants to know: its number, its accounts, what a credit is worth in its books. Pure."""

import re
from dataclasses import dataclass, fields

from commonwatt.i18n import _
from web.visitor import Sorry

SIREN_DIGITS = 9
_ACCOUNT = re.compile(r"[0-9]{3,12}")


@dataclass(frozen=True, slots=True)
class Plan:
    """Of one shop. Accounts are numbers of the French plan comptable général, three digits and more, set as the
    accountant likes.

    `siren`: empty until the shop says it; `credit_cents`: what an energy or mutual credit is worth in the shop's
    books; `vat_permille`: of sales, 0 if the accountant splits it; `year_end_month`: in which the business year ends;
    `iban`: where euros are sent, known to the association alone.
    """

    siren: str = ""
    credit_cents: int = 100
    vat_permille: int = 0
    year_end_month: int = 12
    iban: str = ""
    purse: str = "5311000"
    sales: str = "7070000"
    vat: str = "4457100"
    purchases: str = "6070000"
    earned: str = "7580000"
    bank: str = "5120000"
    fees: str = "6270000"
    charges: str = "6281000"

    @property
    def accounts(self) -> dict[str, str]:
        """Numbers by name, the names that forms use."""
        return {name: getattr(self, name) for name in ACCOUNT_NAMES}


ACCOUNT_NAMES = tuple(field.name for field in fields(Plan))[5:]


def names() -> dict[str, str]:
    """What each account is for, in words."""
    return {
        "purse": _("Credits in the purse"),
        "sales": _("Sales"),
        "vat": _("VAT collected"),
        "purchases": _("Purchases paid in credits"),
        "earned": _("Credits earned from energy"),
        "bank": _("Bank"),
        "fees": _("Fee for euros"),
        "charges": _("Contributions to the association"),
    }


def read_siren(text: str) -> str:
    """Nine digits whose check sum (Luhn) holds, spaces apart. Sorry otherwise; a SIRET's first nine are not taken."""
    siren = "".join(text.split())
    if not siren.isascii() or not siren.isdigit() or len(siren) != SIREN_DIGITS or not _is_luhn(siren):
        raise Sorry(
            _("This is not a SIREN number: {text}.").format(text=text[:20]),
            _("It has nine digits; look at your registration, and leave away the five digits of the establishment."),
        )
    return siren


def read_iban(text: str) -> str:
    """An IBAN by its check sum (ISO 13616), without spaces; empty stays empty. Sorry otherwise."""
    iban = "".join(text.split()).upper()
    if not iban:
        return ""
    is_spelled = re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", iban) is not None
    if not is_spelled or int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 != 1:
        raise Sorry(_("This is not an IBAN."), _("Copy it from your bank's papers once more."))
    return iban


def read_account(text: str, name: str) -> str:
    """An account number. Sorry otherwise."""
    number = "".join(text.split())
    if _ACCOUNT.fullmatch(number) is None:
        raise Sorry(
            _("“{name}” needs an account number.").format(name=name), _("Write three to twelve digits, as 7070000.")
        )
    return number


def _is_luhn(digits: str) -> bool:
    total = 0
    for at, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
