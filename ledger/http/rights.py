"""Who may read what over HTTP: the three circles. Pure: state and request in, rights out.

A request is signed by who makes it: `Authorization: Commonwatt <base64url>` holds a COSE_Sign1 (external_aad
"commonwatt/v1/request" and the genesis hash) over

    [1, time_s, account or null, "GET", "/v1/accounts/0b5e…/history?after=12"]

With an account its wallet signs, and its own entries may be read; without, a role that audits signs and reads all.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from commonwatt import cbor, cose
from commonwatt.errors import FormatError
from commonwatt.identity import SigningKey
from commonwatt.registry import Status
from ledger.book import fields
from ledger.book.entry import SignedEntry
from ledger.book.fields import require
from ledger.book.kinds import Kind, Subject
from ledger.book.mint import Mint
from ledger.book.parties import Lookup, parties
from ledger.book.state import State
from ledger.book.units import holder_of

SCHEME = "Commonwatt "
KIND = "request"
REQUEST_SIZE_MAX = 4096
REQUEST_AGE_S_MAX = 300
VERSION = 1
AUDITING_ROLES = ("steward", "townhall", "operator", "auditor")
PUBLIC_KINDS = (Kind.GENESIS, Kind.POLICY, Kind.CHARGE)
SITES_MIN = 10
"""Totals of a mint-run are public when at least this many sites stand behind it."""
SOURCES_MAX = 6


@dataclass(frozen=True, slots=True)
class Rights:
    """What one request may read: everything, or what is public and one account's own."""

    is_auditor: bool = False
    account: bytes | None = None

    def may_read(self, account: bytes) -> bool:
        """Whether it may read an account's balance and history, in any unit."""
        return self.is_auditor or (self.account is not None and holder_of(account) == self.account)

    def may_read_entry(self, parsed: SignedEntry | Mint, state: State, find: Lookup) -> bool:
        """Whether it may read an entry: a public one, or one that concerns its account."""
        return self.is_auditor or is_public(parsed, state) or self.account in parties(parsed, state, find)


NOBODY = Rights()


def is_public(parsed: SignedEntry | Mint, state: State) -> bool:
    """Whether everyone may read an entry. A trial ledger publishes everything."""
    if state.founded.genesis.trial:
        return True
    if isinstance(parsed, Mint):
        return False
    if parsed.entry.kind is Kind.MINT_RUN:
        # A run has at most one leaf per account and source, and an account at least one site.
        count: int = getattr(parsed.entry.body, "count", 0)
        return count >= SITES_MIN * SOURCES_MAX
    # The roles' and the witnesses' keys are everybody's affair, and a charge tells a total only.
    is_about_keys = getattr(parsed.entry.body, "subject", None) in (Subject.ROLE, Subject.WITNESS)
    return parsed.entry.kind in PUBLIC_KINDS or is_about_keys


def sign_request(
    key: SigningKey, genesis: bytes, *, time_s: int, method: str, target: str, account: bytes | None = None
) -> str:
    """The header's value, as wallets and auditors make it."""
    payload = cbor.encode([VERSION, time_s, account, method, target])
    signed = cose.sign1(payload, key, cose.external_aad(KIND, genesis))
    return SCHEME + base64.urlsafe_b64encode(signed).decode()


def read_header(header: str, state: State, *, now_s: float, method: str, target: str) -> Rights:
    """The rights of a signed request; FormatError says why it has none ("malformed", "expired", "bad-signature").

    The signature is for one method and target and for minutes only: who overhears it learns nothing that lasts.
    """
    message = cose.parse1(_decode(header), size_max=REQUEST_SIZE_MAX)
    value = cbor.decode(message.payload, size_max=REQUEST_SIZE_MAX)
    version, time_s, account, signed_method, signed_target = fields.array(value, 5, "a request")
    fields.uint(version, "version", least=VERSION, most=VERSION)
    fields.uint(time_s, "time_s")
    if abs(now_s - time_s) > REQUEST_AGE_S_MAX:
        raise FormatError("expired", f"signed more than {REQUEST_AGE_S_MAX} s from now; is the clock right?")
    require((signed_method, signed_target) == (method, target), "signed for another request")
    rights, key = _holder(account, message.kid, state)
    if key is None or not message.is_signed_by(key, cose.external_aad(KIND, state.genesis_sha256)):
        raise FormatError("bad-signature", "not signed by a wallet or role of this ledger")
    return rights


def _holder(account: Any, kid: bytes, state: State) -> tuple[Rights, bytes | None]:
    if account is None:
        role = state.founded.keys.get(kid)
        is_auditor = role is not None and role.role in AUDITING_ROLES
        return Rights(is_auditor=True), role.public_key if role and is_auditor else None
    found = state.admissions.account(fields.identifier(account, "account"))
    if found is None or found[1] is Status.REVOKED:
        return NOBODY, None
    return Rights(account=account), found[0].wallet


def _decode(header: str) -> bytes:
    require(header.startswith(SCHEME), f"the scheme is {SCHEME.strip()}")
    try:
        return base64.b64decode(header[len(SCHEME) :].encode("ascii"), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error) as error:
        raise FormatError("malformed", "not base64url") from error
