"""What of paying is settled on /me: favourites, and being found by name."""

from commonwatt.i18n import _
from web.looks import Words
from web.me.sections import Link, Section, links
from web.roles import MEMBERS
from web.visitor import Ask


def section(ask: Ask, _words: Words) -> Section | None:
    """For members."""
    if ask.visitor.role not in MEMBERS:
        return None
    found = Link("/ask#found", _("Being found"), _("whether neighbours who want to pay you find your name"))
    return links("paying", _("Paying"), Link("/favourites", _("Favourites")), found)
