"""Rules: told in words, tried on what was measured, signed by steward and town hall in their browsers."""

import re

from aggregator.policy.rules import Policy
from aggregator.testing import POLICY
from tests.aggregator.programs import wait_for
from tests.web.conftest import Site
from tests.web.office import a_trial, posted, seen, signed_at
from web.association.policy.picture import grouped
from web.roles import Role


def _tried(living: Site, trial: str) -> str:
    """The page of a trial once it is replayed."""
    wait_for(lambda: "being tried" not in seen(living, f"/policy/trials/{trial}"), "the replay")
    return seen(living, f"/policy/trials/{trial}")


def test_rules_in_words(living: Site) -> None:
    """Anybody reads what earns credits, with an example, and the very text that the log has."""
    page = living.get("/policy", accept_language="en").text
    assert "Local production earns 0.800 credits a kilowatt-hour." in page
    assert POLICY.sha256.hex() in page
    assert "Try other rules" not in page
    assert living.get("/policy/1.toml").text == POLICY.text
    assert living.get("/policy/9.toml").status == 404


def test_rules_with_a_mistake(living: Site) -> None:
    """The line and what is wrong with it; what was written is still in the form; nothing is tried."""
    text = POLICY.text.replace("grace_s = 3600", "grace_s = -1  # <script>")
    status, page = posted(living, "/policy/propose", wants_json=False, text=text)
    assert status == 422
    assert "line 3" in page
    assert "grace_s = -1  # &lt;script&gt;" in page
    assert posted(living, "/policy/propose", Role.RESIDENT, text=text)[0] == 403


def test_rules_that_are_tried(living: Site) -> None:
    """Twelve homes would earn less for their neighbours' sun, nobody more; by source and in all, without a name."""
    page = _tried(living, a_trial(living))
    figures = re.findall(r"<strong>(\d+)</strong>\s*(would [a-z ]+)", page)
    assert figures[:2] == [("0", "would win"), ("12", "would lose")]
    assert len(re.findall(r'<rect class="loses"', page)) == 12
    assert "<del>0.200</del> → <ins>0.150</ins>" in page
    assert "matched consumption" in page
    assert "home0" not in page


def test_rules_that_cannot_be_adopted(living: Site) -> None:
    """Of no higher version: tried, told why, and not laid on anybody's desk."""
    text = POLICY.text.replace("= 800", "= 790")
    assert posted(living, "/policy/propose", wants_json=False, text=text)[0] == 303
    trial = Policy.parse(text, where="tests").sha256.hex()
    assert "it must be greater than 1" in _tried(living, trial)
    assert posted(living, f"/policy/trials/{trial}/propose")[0] == 422


def test_rules_signed_by_two(living: Site) -> None:
    """Proposed once though asked twice; the steward agrees, the town hall signs last and is asked again; then they
    are in force, for everybody and in the file."""
    trial = a_trial(living, 160)
    for _again in range(2):
        assert posted(living, f"/policy/trials/{trial}/propose")[0] == 303
    page = seen(living, "/desk", Role.TOWNHALL)
    assert page.count("Other rules are to count") == 1
    assert f'href="/policy/trials/{trial}"' in page
    path = re.search(r'action="(/desk/[0-9a-f]{32})"', page)
    assert path is not None
    assert signed_at(living, path[1]) == (["policy"], "/desk")
    page = seen(living, "/desk", Role.TOWNHALL)
    assert "Signed so far: the association" in page
    assert 'data-confirm="This goes into the log for good. Sign it?"' in page
    assert signed_at(living, path[1], Role.TOWNHALL) == (["policy"], "/desk")
    assert "earns 0.160 credits" in living.get("/policy", accept_language="en").text
    assert Policy.load(living.directory / "policy.toml").sha256.hex() == trial


def test_many_accounts_in_few_bars() -> None:
    """Neighbours in the order of winning stand for each other by their mean; few are drawn as they are."""
    assert grouped([3, 2, -1], 60) == [3, 2, -1]
    assert grouped([9, 7, 1, -1, -5, -7], 3) == [8, 0, -6]
