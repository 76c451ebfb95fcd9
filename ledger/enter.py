"""Makes an entry of any further kind from words, signs it with key files and places it: `commonwatt ledger enter`.

    top-up account=0b5e…02 amount_mc=20000 paid_cents=2000 reference=2024-07-15/3

The names are those of docs/spec/entry.cddl. Ids and keys are hex, several are separated by commas.
"""

from collections.abc import Sequence
from dataclasses import fields
from enum import IntEnum
from pathlib import Path
from typing import Any, get_type_hints

from commonwatt.errors import FormatError, UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, new_id
from ledger import door
from ledger.book.body import (
    AdmitRole,
    AdmitWitness,
    Body,
    Charge,
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
from ledger.book.entry import Entry
from ledger.sequencer import Placed, Refused

_KINDS = (Transfer, Rotate, Guard, PaymentRequest, PaymentAnswer, TopUp, Redeem, CreditLimit, Charge, Reverse, Hold)
BODIES: dict[str, Any] = {
    **{body.kind.label: body for body in (*_KINDS, Release, SetStatus)},
    "admit-witness": AdmitWitness,
    "admit-role": AdmitRole,
}
"""What can be entered, by its name. People, homes and meters are admitted from a roster, policies by their file."""


def body_of(name: str, words: Sequence[str]) -> Body:
    """The body that `NAME=VALUE` words describe; UserError says which word is wrong, or missing."""
    if name not in BODIES:
        raise UserError(_("no entry is called {name!r}").format(name=name), to_do=", ".join(BODIES))
    found = BODIES[name]
    hints = get_type_hints(found)
    types = {row.name: hints[row.name] for row in fields(found)}
    given = dict(word.partition("=")[::2] for word in words)
    if set(given) != set(types) or len(given) < len(words):
        raise UserError(
            _("{name} needs each of these once").format(name=name), to_do=" ".join(f"{f}=" for f in types)
        )
    try:
        body = found(**{field: _value(kind, field, given[field]) for field, kind in types.items()})
        checked: Body = found.from_cbor(body.to_cbor())
    except (FormatError, ValueError) as error:
        raise UserError(str(error), where=name) from error
    return checked


def enter(directory: Path, body: Body, keys: Sequence[SigningKey], *, time_s: int) -> Placed:
    """Sign with the first key, approve with the others, place and publish. UserError if it is refused."""
    entry = Entry(new_id(), time_s, body)
    with door.opened(directory) as ledger:
        genesis = ledger.state.genesis_sha256
        approved = entry.with_approvals(*(entry.approve(key, genesis) for key in keys[1:]))
        (answer,) = ledger.submit([approved.sign(keys[0], genesis)])
        if isinstance(answer, Refused):
            raise UserError(_("the entry is refused: {why}").format(why=answer.refusal.label))
    return answer


def _value(kind: Any, name: str, text: str) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(f"{name} is true or false")
        return text == "true"
    if kind is bytes:
        return bytes.fromhex(text)
    if isinstance(kind, type) and issubclass(kind, IntEnum):
        names = [member.name.lower() for member in kind]
        if text not in names:
            raise ValueError(f"{name} is one of {', '.join(names)}")
        return kind[text.upper()]
    if kind is int:
        return int(text)
    return tuple(bytes.fromhex(part) for part in text.split(",") if part)
