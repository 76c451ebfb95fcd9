"""The policy file: its limits, its mistakes with their place, its words."""

import hashlib

import pytest

from aggregator.policy.explain import explain
from aggregator.policy.rules import DEFAULT_FILE, DIRECTORY, Policy
from commonwatt.errors import UserError

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


def test_explain_works_its_example_out():
    """10 kWh made, 6 used next door, a tenth to the association: the numbers of the rule, by hand."""
    words = explain(Policy.load(DEFAULT_FILE))
    for amount in ("10.000 kWh", "6.000 kWh", "7.200", "1.080", "0.920", "6 h", "1 d", "10 %"):
        assert amount in words
