"""What people fill in when they ask or pay: amounts, memos, codes, units. Each mistake ends in a sentence."""

from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from commonwatt.i18n import _
from commonwatt.identity import ID_SIZE, new_id
from ledger.book.fields import MEMO_BYTES_MAX
from ledger.book.units import Unit
from web.pay.amounts import sentences
from web.pay.spelling import Unclear, meanings, read_amount, read_code
from web.visitor import Ask, Sorry

MEMO_CHARS_MAX = 80

Values = dict[str, Any]
"""What a template or a module is told."""


def amount_of(text: str) -> int:
    """Thousandths of what somebody wrote. Sorry says what is wrong with it."""
    amount = read_amount(text)
    if not isinstance(amount, Unclear):
        return amount
    says = sentences()[f"amount-{amount.value}"]
    less, more = meanings(text) if amount is Unclear.AMBIGUOUS else ("", "")
    raise Sorry(says.format(less=less, more=more), "")


def memo_of(ask: Ask) -> str:
    """What it is for; may be empty."""
    memo = ask.text("memo", chars_max=MEMO_CHARS_MAX, is_needed=False)
    if len(memo.encode()) > MEMO_BYTES_MAX:
        raise Sorry(_("What it is for is too long."), _("Write it in fewer words."))
    return memo


def code_of(text: str) -> str:
    """A code as it is kept. Sorry if a symbol of it is wrong."""
    code = read_code(text)
    if code is None:
        raise Sorry(
            _("This is no code: one of its letters or figures is not right."),
            _("Look at it again. A code has eight of them, for example 7KQM-2XWD."),
        )
    return code


def unit_of_form(text: str, units: dict[Unit, str]) -> Unit:
    """Which unit was chosen; the energy's where nothing was said."""
    numbers = {str(int(unit)): unit for unit in units}
    if text and text not in numbers:
        raise Sorry(_("This commune does not have this unit."), _("Choose one of the list."))
    return numbers.get(text, Unit.ENERGY)


def identifier(text: str) -> bytes:
    """16 bytes in hexadecimal, as they stand in addresses; 404 if they are none."""
    try:
        found = bytes.fromhex(text)
    except ValueError as error:
        raise HTTPException(404) from error
    if len(found) != ID_SIZE:
        raise HTTPException(404)
    return found


def query(ask: Ask, name: str, *, chars_max: int = 100) -> str:
    """What stands in the address after the question mark."""
    return ask.request.query_params.get(name, "").strip()[:chars_max]


def number_in(ask: Ask) -> bytes | None:
    """A payment's number, where the address has one: who goes back, loads the page again or opens it twice still
    makes one payment."""
    text = query(ask, "n")
    is_one = len(text) == 2 * ID_SIZE and all(symbol in "0123456789abcdef" for symbol in text)
    return bytes.fromhex(text) if is_one else None


def numbered(ask: Ask) -> Response:
    """Lead to the same address with a fresh number in it."""
    asked = [f"{name}={quote(text)}" for name, text in ask.request.query_params.items() if name != "n"]
    return RedirectResponse(f"{ask.path}?{'&'.join([*asked, f'n={new_id().hex()}'])}", 303)
