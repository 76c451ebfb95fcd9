"""The kinds of notice, who gets them, and what each is called. Pure."""

from enum import StrEnum

from commonwatt.i18n import _
from web.roles import MEMBERS, OFFICES, Role


class Kind(StrEnum):
    """Each can be switched off by itself. All but DIGEST go to devices; DIGEST is a letter."""

    PAID = "paid"
    ASKED = "asked"
    EARNED = "earned"
    HELD = "held"
    PEAK = "peak"
    DESK = "desk"
    DIGEST = "digest"


def kinds_of(role: Role) -> list[Kind]:
    """Those that somebody with a role may get."""
    if role in MEMBERS:
        return [kind for kind in Kind if kind is not Kind.DESK]
    return [Kind.DESK] if role in OFFICES else []


def label(kind: Kind) -> str:
    """What its switch is called."""
    return {
        Kind.PAID: _("Somebody paid me"),
        Kind.ASKED: _("Somebody asks me for a payment"),
        Kind.EARNED: _("What I earned yesterday, in the morning"),
        Kind.HELD: _("The association looks at one of my meters, or has finished"),
        Kind.PEAK: _("The grid’s operator asks to use less, or more"),
        Kind.DESK: _("Something waits for my signature"),
        Kind.DIGEST: _("My month, by e-mail on its first day"),
    }[kind]
