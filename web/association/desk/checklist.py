"""The first steps of a commune that was just founded, until all are done."""

from collections.abc import Sequence
from dataclasses import dataclass

from commonwatt.i18n import _
from ledger.book.body import AdmitAccount
from ledger.book.kinds import Subject
from ledger.book.state import State


@dataclass(frozen=True, slots=True)
class Step:
    """One of them. `path`: where it is taken."""

    is_done: bool
    title: str
    words: str
    path: str


def steps(state: State, *, is_measured: bool, is_witnessed: bool) -> Sequence[Step]:
    """In the order in which a commune begins; empty once all are done."""
    held: dict[str, int] = {}
    for row in state.founded.ids.values():
        held[row.role] = held.get(row.role, 0) + 1
    first_keys = {role: len(keys) for role, keys in state.founded.genesis.roles}
    taken = [role for role in ("steward", "townhall", "operator") if held.get(role, 0) > first_keys.get(role, 0)]
    accounts = [row.admission for row in state.admissions.by_id.values() if isinstance(row.admission, AdmitAccount)]
    members = sum(row.subject is Subject.MEMBER for row in accounts)
    merchants = sum(row.subject is Subject.MERCHANT for row in accounts)
    found = [
        Step(
            {"steward", "townhall"} <= set(taken),
            _("Give every office a browser of its own"),
            _("Steward, town hall and grid operator each sign with a key that never leaves their computer."),
            "/people/invite",
        ),
        Step(
            bool(members),
            _("Admit the first member"),
            _("Invite them; their browser makes the key."),
            "/people/invite",
        ),
        Step(
            any(True for _device in state.admissions.devices()),
            _("Admit the first meter"),
            _("A member scans its label, or it comes with the roster."),
            "/meters",
        ),
        Step(
            is_measured, _("Settle the first energy"), _("It takes a few hours after the first meter reports."), "/"
        ),
        Step(bool(merchants), _("Find a merchant"), _("So that credits can be spent."), "/people/invite"),
        Step(is_witnessed, _("Have the log witnessed"), _("Neighbouring communes sign what they have seen."), "/log"),
        Step(
            len(state.policies) > 1,
            _("Vote on your own rules"),
            _("The first ones are a proposal; try yours on what was measured."),
            "/policy",
        ),
    ]
    return [] if all(step.is_done for step in found) else found
