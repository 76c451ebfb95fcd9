"""Passkeys: WebAuthn credentials that a device keeps for this host, checked with its fingerprint, face or PIN.

Rows of web.db; the `webauthn` package judges what authenticators answer. A passkey signs in; it never signs entries.
"""

from dataclasses import dataclass

import sqlalchemy as sa
import webauthn
from webauthn.helpers import exceptions, parse_authentication_credential_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from commonwatt.i18n import _
from web.identity import logins
from web.identity.logins import Login
from web.store.schema import challenge, passkey
from web.visitor import Sorry

CHALLENGE_S = 15 * 60
"""A page to sign in may be open that long before somebody picks a passkey."""
PASSKEYS_MAX = 20
NAME_CHARS_MAX = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Whom passkeys belong to: the host (RP ID), and the origin of pages that may ask for them."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """One of somebody's. `used_s`: None until it signs in."""

    credential: bytes
    name: str
    created_s: int
    used_s: int | None


def of_login(connection: sa.Connection, who: Login) -> list[Passkey]:
    """Theirs, the oldest first."""
    rows = connection.execute(sa.select(passkey).where(passkey.c.login == who.id).order_by(passkey.c.created_s))
    return [Passkey(row.credential, row.name, row.created_s, row.used_s) for row in rows]


def to_register(connection: sa.Connection, who: Login, place: Place, title: str, *, now_s: int) -> str:
    """What navigator.credentials.create is asked, as JSON."""
    theirs = of_login(connection, who)
    if len(theirs) >= PASSKEYS_MAX:
        raise Sorry(_("You have many passkeys already."), _("Remove those that you do not use."))
    asked = webauthn.generate_registration_options(
        rp_id=place.host,
        rp_name=title,
        user_id=who.id,
        user_name=who.email or who.name,
        user_display_name=who.name,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=one.credential) for one in theirs],
    )
    _remember(connection, asked.challenge, who.id, now_s)
    return webauthn.options_to_json(asked)


def register(
    connection: sa.Connection, who: Login, answer: str, place: Place, *, name: str, asked: bytes, now_s: int
) -> None:
    """Keep what an authenticator made. Sorry if it is not what was asked for."""
    if not _take(connection, asked, who.id, now_s):
        raise _too_late()
    try:
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=asked,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            require_user_verification=True,
        )
    except (exceptions.WebAuthnException, ValueError) as error:
        raise Sorry(_("This passkey could not be checked."), _("Try again, or take another device.")) from error
    row = {"credential": made.credential_id, "login": who.id, "public_key": made.credential_public_key}
    there = sa.select(passkey.c.login).where(passkey.c.credential == made.credential_id)
    if connection.execute(there).one_or_none() is not None:
        raise Sorry(_("This passkey is here already."), _("Load the page again."))
    connection.execute(sa.insert(passkey).values(sign_count=made.sign_count, name=name, created_s=now_s, **row))


def remove(connection: sa.Connection, who: Login, credential: bytes) -> None:
    """Nobody signs in with it any more."""
    this = (passkey.c.login == who.id, passkey.c.credential == credential)
    connection.execute(sa.delete(passkey).where(*this))


def to_enter(connection: sa.Connection, place: Place, *, now_s: int) -> str:
    """What navigator.credentials.get is asked, as JSON: any passkey that the device has for us."""
    asked = webauthn.generate_authentication_options(
        rp_id=place.host, user_verification=UserVerificationRequirement.REQUIRED
    )
    _remember(connection, asked.challenge, None, now_s)
    return webauthn.options_to_json(asked)


def enter(connection: sa.Connection, answer: str, place: Place, *, asked: bytes, now_s: int) -> Login:
    """Whose passkey has answered. Sorry if it is nobody's, or a copy of one (its count of uses went back)."""
    if not _take(connection, asked, None, now_s):
        raise _too_late()
    try:
        given = parse_authentication_credential_json(answer)
        row = connection.execute(sa.select(passkey).where(passkey.c.credential == given.raw_id)).one_or_none()
        if row is None:
            raise Sorry(
                _("This passkey is not known here any more."),
                _("Sign in by e-mail, and remove it from your device's list of passkeys."),
            )
        verified = webauthn.verify_authentication_response(
            credential=given,
            expected_challenge=asked,
            expected_rp_id=place.host,
            expected_origin=place.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=True,
        )
    except (exceptions.WebAuthnException, ValueError) as error:
        raise Sorry(
            _("This passkey is not believed: it may be a copy."),
            _("Sign in by e-mail, remove it on the page “Me”, and make a new one."),
        ) from error
    used = {"sign_count": verified.new_sign_count, "used_s": now_s}
    connection.execute(sa.update(passkey).where(passkey.c.credential == row.credential).values(used))
    who = logins.of_id(connection, row.login)
    if who is None:
        raise Sorry(_("This passkey is not known here any more."), _("Ask the association for an invitation."))
    return who


def _remember(connection: sa.Connection, asked: bytes, login: bytes | None, now_s: int) -> None:
    connection.execute(sa.delete(challenge).where(challenge.c.expires_s <= now_s))
    connection.execute(sa.insert(challenge).values(challenge=asked, login=login, expires_s=now_s + CHALLENGE_S))


def _take(connection: sa.Connection, asked: bytes, login: bytes | None, now_s: int) -> bool:
    """Whether this was asked, of this login; it is answered once."""
    this = challenge.c.challenge == asked
    row = connection.execute(sa.select(challenge).where(this, challenge.c.expires_s > now_s)).one_or_none()
    connection.execute(sa.delete(challenge).where(this))
    return row is not None and row.login == login


def _too_late() -> Sorry:
    return Sorry(_("This took too long, or was done already."), _("Load the page again and repeat it."))
