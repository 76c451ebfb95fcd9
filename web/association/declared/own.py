"""The card on /me that leads a member to what no meter counts."""

from commonwatt.i18n import _
from web.looks import Words
from web.me.sections import Link, Section, links
from web.roles import MEMBERS
from web.visitor import Ask


def own_declaring(ask: Ask, _words: Words) -> Section | None:
    """For members; None for offices."""
    if ask.visitor.role not in MEMBERS:
        return None
    declare = Link("/declare", _("Declare what you gave"), _("Hours for others, food, whatever the rules pay for."))
    return links("declaring", _("What no meter counts"), declare, Link("/policy", _("The rules")))
