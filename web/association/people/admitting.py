"""From somebody who took up an invitation to a member: names into the private store, admissions to be signed."""

from collections.abc import Sequence

from aggregator.commune import admission
from aggregator.commune.roster import Roster
from aggregator.private.store import PrivateStore
from commonwatt.i18n import _
from ledger.book.body import Body
from ledger.book.state import State
from web.visitor import Sorry


def bodies(roster: Roster, names: PrivateStore, *, at_s: int) -> list[Body]:
    """The admissions of a roster; its names are enrolled and saved before anything of it can be admitted. Sorry for
    a name that somebody has."""
    for table in ("members", "merchants", "sites"):
        for row in getattr(roster, table):
            known = names.find(table, row.name)
            if known is not None and (row.id is None or known.id.hex() != row.id) and table != "sites":
                raise Sorry(
                    _("Somebody is called {name} already.").format(name=row.name),
                    _("Write the name so that people can tell them apart."),
                )
    proposals = admission.propose(roster, names, at_s=at_s)
    names.save()
    return [proposal.body for proposal in proposals]


def left(state: State, wanted: Sequence[Body]) -> list[Body]:
    """Those that are not in the ledger yet."""
    return [body for body in wanted if getattr(body, "id", b"") not in state.admissions.by_id]
