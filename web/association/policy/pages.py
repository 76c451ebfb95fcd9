"""The rules in force for everybody; proposing, trying and signing others for steward and town hall."""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from aggregator.policy import diff
from aggregator.policy.explain import explain
from aggregator.policy.rules import Policy
from aggregator.policy.schedule import Schedule
from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import new_id
from ledger.book import body
from ledger.book.body import POLICY_BYTES_MAX
from ledger.book.entry import Entry
from ledger.book.show import source_name
from web.association.office import Office
from web.association.people.pages import id_of, see
from web.association.policy import picture
from web.association.policy.trials import STEPS, Replayed, Trials
from web.door import Page
from web.drafts import desk
from web.looks import Words
from web.roles import EVERYBODY, OFFICES, Role
from web.visitor import Ask, Sorry

DOES = frozenset((Role.STEWARD, Role.TOWNHALL))


class PolicyPages:
    """Routes of this room."""

    def __init__(self, office: Office) -> None:
        self._office, self._trials = office, Trials(office)

    def pages(self) -> list[Page]:
        """Every address about rules."""
        return [
            Page("policy", "/policy", EVERYBODY, get=self.policy),
            Page("policy-text", "/policy/{version}.toml", EVERYBODY, get=self.text),
            Page("policy-propose", "/policy/propose", DOES, get=self.write, post=self.try_out),
            Page("policy-trial", "/policy/trials/{trial}", OFFICES, get=self.trial),
            Page("policy-sign", "/policy/trials/{trial}/propose", DOES, post=self.propose),
        ]

    def policy(self, ask: Ask) -> Response:
        """The rules in force in plain words, and those before them."""
        with self._office.books.now():
            enacted = tuple(self._office.said.policies)
        rows = list(zip(enacted, Schedule.of(enacted, lambda _place: 0).rows, strict=True))
        policy = enacted[-1].policy

        def make(_words: Words) -> dict[str, Any]:
            head, *rest = explain(policy).split("\n\n")
            lines = head.splitlines()
            return {
                "policy": policy,
                "lines": [line for line in "\n".join(rest[:1]).splitlines() if line],
                "example": [line for part in rest[1:] for line in part.splitlines() if line],
                "name": lines[0],
                "history": rows[::-1],
                "may_act": ask.visitor.role in DOES,
            }

        return self._office.looks.answer(ask, "association/policy.html", make)

    def text(self, ask: Ask) -> Response:
        """The text of a version, as it stands in the log."""
        with self._office.books.now():
            found = {str(row.policy.rules.version): row.policy for row in self._office.said.policies}
        policy = found.get(ask.part("version"))
        if policy is None:
            raise HTTPException(404)
        return Response(policy.text, media_type="text/plain; charset=utf-8")

    def write(self, ask: Ask) -> Response:
        """A form with the rules in force, to be changed."""
        return self._form(ask, self._office.policy().text)

    def try_out(self, ask: Ask) -> Response:
        """Check what was written, and try it; a mistake is told with its line, and what was written stays."""
        text = (ask.form.get("text", "") or "").replace("\r\n", "\n")
        if len(text.encode()) > POLICY_BYTES_MAX:
            raise Sorry(_("These rules are too long."), _("Leave out comments."))
        try:
            policy = Policy.parse(text, where=_("your text"))
        except UserError as error:
            return self._form(ask, text, problems=str(error).split("\n→")[0].splitlines())
        assert ask.visitor.login is not None
        self._trials.begin(policy, ask.visitor.login, now_s=ask.now_s)
        return see(f"/policy/trials/{policy.sha256.hex()}")

    def trial(self, ask: Ask) -> Response:
        """What the proposed rules change, and what they would have paid."""
        trial, before = self._trials.find(id_of(ask.part("trial"))), self._office.policy()
        if trial is None:
            raise HTTPException(404)

        def make(words: Words) -> dict[str, Any]:
            return {
                "trial": trial,
                "steps": STEPS,
                "changes": diff.changes(before, trial.policy),
                "problem": diff.problem(before, trial.policy),
                "may_act": ask.visitor.role in DOES,
                **(_drawn(trial.replayed, words) if trial.replayed is not None else {"replayed": None}),
            }

        is_running = trial.replayed is None and not trial.problem
        headers = {"Refresh": "2"} if is_running else {}
        return self._office.looks.answer(ask, "association/trial.html", make, headers=headers)

    def propose(self, ask: Ask) -> Response:
        """Lay the rules on the desks of those whose signatures they need."""
        trial = self._trials.find(id_of(ask.part("trial")))
        if trial is None:
            raise HTTPException(404)
        problem = diff.problem(self._office.policy(), trial.policy)
        if problem is not None:
            raise Sorry(problem, _("Change the text and try it again."))
        policy = trial.policy
        entry = Entry(new_id(), ask.now_s, body.Policy(policy.sha256, policy.rules.version, policy.text))
        assert ask.visitor.login is not None
        with self._office.store.transaction() as connection:
            waiting = {draft.entry.body for draft in desk.waiting(connection)}
            if entry.body not in waiting:
                by = ask.visitor.login.id
                desk.propose(connection, entry, purpose="policy", about=None, proposed_by=by, now_s=ask.now_s)
        return see("/desk")

    def _form(self, ask: Ask, text: str, problems: list[str] | None = None) -> Response:
        values = {"text": text, "problems": problems or [], "version": self._office.policy().rules.version}
        status = 422 if problems else 200
        return self._office.looks.answer(ask, "association/propose.html", lambda _words: values, status=status)


def _drawn(replayed: Replayed, words: Words) -> dict[str, Any]:
    wins = sum(change > 0 for change in replayed.changes_mc)
    loses = sum(change < 0 for change in replayed.changes_mc)
    return {
        "replayed": replayed,
        "wins": wins,
        "loses": loses,
        "same": len(replayed.changes_mc) - wins - loses,
        "winners": picture.winners(replayed, words),
        "sources": picture.sources(replayed, words),
        "rows": [(source_name(n), before, after) for n, before, after in replayed.sources],
        "signed": lambda amount_mc: picture.signed(amount_mc, words),
        "for_kwh": [amount * 1000 // replayed.energy_wh if replayed.energy_wh else 0 for amount in replayed.total_mc],
    }
