"""What browsers are given to sign, and what they give back. Pure."""

from commonwatt import cbor, cose
from commonwatt.errors import FormatError
from commonwatt.i18n import _
from ledger.book import fields
from ledger.book.body import parse_body
from ledger.book.entry import APPROVAL_SIZE_MAX, SIZE_MAX, Entry
from web.facts import Facts
from web.spelling import base64url
from web.visitor import Sorry


def to_sign(entry: Entry, facts: Facts, *, is_approval: bool = False, post: str = "/entries") -> dict[str, object]:
    """What static/wallet/sign.js reads: the payload, for which kind and ledger it is signed, and where it goes then.

    `is_approval`: the browser signs what an approver signs, SHA-256 of the entry without its approvals, which it
    computes from the payload itself.
    """
    return {
        "payload": base64url(entry.encode()),
        "kind": entry.kind.label,
        "genesis": facts.genesis_sha256,
        "approve": is_approval,
        "post": post,
    }


def read_entry(payload: bytes) -> Entry:
    """An entry as it was given to be signed; Sorry if it is none."""
    try:
        value = cbor.decode(payload, size_max=SIZE_MAX)
        _version, kind, entry_id, time_s, body, _approvals = fields.array(value, 6, "an entry")
        return Entry(fields.identifier(entry_id, "id"), fields.uint(time_s, "time_s"), parse_body(kind, body))
    except FormatError as error:
        raise _not_ours() from error


def check_approval(signed: bytes, entry: Entry, public_key: bytes, genesis: bytes) -> None:
    """Sorry unless `signed` is this key's approval of this entry."""
    try:
        message = cose.parse1(signed, size_max=APPROVAL_SIZE_MAX)
    except FormatError as error:
        raise _not_ours() from error
    is_it = message.payload == entry.statement_sha256()
    if not is_it or not message.is_signed_by(public_key, cose.external_aad("approval", genesis)):
        raise _not_ours()


def _not_ours() -> Sorry:
    return Sorry(_("The signature does not fit what was asked."), _("Load the page again and repeat it."))
