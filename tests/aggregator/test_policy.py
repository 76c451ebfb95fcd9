"""The policy file: its limits, its mistakes with their place, its words."""

import hashlib

import pytest

from aggregator.policy.diff import changes
from aggregator.policy.explain import explain
from aggregator.policy.mistakes import lines_of
from aggregator.policy.rules import DEFAULT_FILE, DIRECTORY, Policy
from commonwatt.errors import UserError
from commonwatt.i18n import speaking

TEXT = DEFAULT_FILE.read_text()


@pytest.mark.parametrize("file", sorted(DIRECTORY.glob("*.toml")), ids=lambda path: path.stem)
def test_a_policy_that_comes_along_is_valid(file):
    """And is named by the SHA-256 of its bytes."""
    assert Policy.load(file).sha256 == hashlib.sha256(file.read_bytes()).digest()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rate_mc_per_kwh = 200", "rate_mc_per_kwh = 201", "a kilowatt-hour backs at most 1000"),
        ("rate_mc_per_kwh = 800", "rate_mc_per_kwh = 800.0", "production.rate_mc_per_kwh"),
        ("rate_mc_per_kwh = 800", "rate_mc_per_kwh = -1", "production.rate_mc_per_kwh"),
        ("window_s = 86400", "window_s = 1000", "window_s"),
        ("window_s = 86400", "window_s = 4500", "divides a day"),
        ("grace_s = 21600", "grace_s = -1", "grace_s"),
        ("share_permille = 100", "share_permille = 501", "share_permille"),
        ("version = 1", "version = 0", "version"),
        ("version = 1", "version = 1\nbonus = 5", "bonus"),
        ("[matched]", "[matched", "line"),
        ("[matched]", "[machted]", "machted"),
        ("[matched]", "[money]\ncoverage_permille_min = -1\n[matched]", "money.coverage_permille_min"),
        ("[matched]", "[money]\nvelocity = 20\n[matched]", "money.velocity"),
    ],
)
def test_a_mistake_in_a_policy_is_named_with_its_place(tmp_path, old, new, words):
    """File, key or line, and what is wrong."""
    assert old in TEXT
    file = tmp_path / "policy.toml"
    file.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(UserError, match=words) as raised:
        Policy.load(file)
    assert str(raised.value).startswith(str(file))


def test_a_policy_at_par_is_allowed():
    """Rates of 800 and 200 make exactly one credit."""
    assert Policy.parse(TEXT, where="test").rules.production.rate_mc_per_kwh == 800


def test_a_policy_says_what_the_money_is_to_be_like():
    """In words, and as a change; left out it is as it always was."""
    before = Policy.parse(TEXT, where="test")
    after = Policy.parse(TEXT + "\n[money]\nvelocity_permille_min = 50\n", where="test")
    assert "100 % covered at least, 2 % spent in 30 days at least" in explain(before)
    ((change),) = changes(before, after)
    assert (change.rule, change.after) == (
        "money in circulation",
        "100 % covered at least, 5 % spent in 30 days at least",
    )


def test_explain_works_its_example_out():
    """10 kWh made, 6 used next door, a tenth to the association: the numbers of the rule, by hand."""
    words = explain(Policy.load(DEFAULT_FILE))
    for amount in ("10.000 kWh", "6.000 kWh", "7.200", "1.080", "0.920", "6 h", "1 d", "10 %"):
        assert amount in words


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("grace_s = 21600", "grace_s = -1", "line 6: grace_s: is less than 0"),
        ("rate_mc_per_kwh = 200", "rate_mc_per_kwh = 201", "line 14: matched.rate_mc_per_kwh: production and"),
        ("[matched]", "[machted]", "line 13: machted: there is no such key"),
        ("rate_mc_per_kwh = 800", "rate = 800", "line 10: production.rate_mc_per_kwh: is missing"),
        ("rate_mc_per_kwh = 800", "rate_mc_per_kwh = 8.5", "line 11: production.rate_mc_per_kwh: is not a whole"),
        ("[matched]", '[[production.time]]\nhours = "7-9"\n[matched]', "line 14: production.time[1].hours"),
        ("[matched]", "grade_permille = { gateway = 1001 }\n[matched]", "line 13: production.grade_permille.gateway"),
        ("window_s = 86400", 'window_s = 86400\ntimezone = "Mars/Crater"', "line 8: timezone: no clock"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_policy_is_named_with_its_line(old, new, told):
    """Also a mistake of meaning, which no TOML reader sees."""
    assert old in TEXT
    with pytest.raises(UserError) as raised:
        Policy.parse(TEXT.replace(old, new, 1), where="p.toml")
    assert f"p.toml: {told}" in str(raised.value)


def test_every_mistake_in_a_policy_is_named_in_french():
    """In the order of the lines, each on a line of its own."""
    text = TEXT.replace("version = 1", "version = 0").replace("rate_mc_per_kwh = 800", 'rate_mc_per_kwh = "much"')
    with speaking("fr"), pytest.raises(UserError) as raised:
        Policy.parse(text, where="p.toml")
    first, second, _hint = str(raised.value).splitlines()
    assert first == "p.toml: ligne 3: version: est inférieur à 1"
    assert second == "p.toml: ligne 11: production.rate_mc_per_kwh: n'est pas un nombre entier"


def test_lines_when_texts_and_lists_are_in_the_way():
    """Keys within a text of several lines are no keys; tables of a list are counted."""
    text = 'a = """\n[b]\nc = 1\n"""\n[[d]]\ne.f = 1\n[[d]]\n[d.g]\nh = 2\n'
    assert lines_of(text) == {
        ("a",): 1,
        ("d",): 5,
        ("d", 0): 5,
        ("d", 0, "e"): 6,
        ("d", 0, "e", "f"): 6,
        ("d", 1): 7,
        ("d", 1, "g"): 8,
        ("d", 1, "g", "h"): 9,
    }


def test_par_when_rates_change_with_the_hour():
    """Both rates may rise, at different times; at no quarter hour may they come to more than a credit."""
    noon = '\n[[matched.time]]\nhours = "12:00-14:00"\nrate_mc_per_kwh = 400\n'
    lower = '\n[[production.time]]\nhours = "11:45-14:00"\nrate_mc_per_kwh = 600\n'
    assert Policy.parse(TEXT + noon + lower, where="at par").rules.highest_total_mc == 1000
    with pytest.raises(UserError, match="earn 1200 at some time"):
        Policy.parse(TEXT + noon, where="above")
    with pytest.raises(UserError, match="earn 1200 at some time"):
        Policy.parse(TEXT + noon + lower.replace("14:00", "13:45"), where="a quarter hour above")


def test_explain_tells_times_caps_and_grades():
    """Everything that changes what a member gets is said."""
    more = (
        "cap_mc_per_month = 40000\nshare_permille = 50\ngrade_permille = { gateway = 900 }\n"
        '[[matched.time]]\nmonths = "apr-sep"\nrate_mc_per_kwh = 100\n'
    )
    words = explain(Policy.parse(TEXT + more, where="more"))
    for told in ("0.100 at apr-sep (Europe/Paris)", "40.000 a month", "90 % if a gateway", "receives 5 %"):
        assert told in words
