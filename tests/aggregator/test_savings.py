"""What a home saved: sufficiency, the bound, and the figures of docs/savings.md on forty real homes."""

import random
from statistics import fmean

import pytest

from aggregator.savings.measure import Saving, measure, released_wh
from aggregator.savings.reasons import Reason, sentence
from aggregator.savings.terms import Terms
from bench.savings import figures, homes

BASELINE = 28
DAYS = 49
HOME = b"home"
MILD = (80,) * DAYS


def commune(count: int = 14, *, seed: int = 1, scatter: float = 0.05) -> dict[bytes, list[int | None]]:
    """Homes whose days follow one common course, each with a scatter of its own; HOME is one of them."""
    chance = random.Random(seed)
    course = [10_000 + 3_000 * chance.random() for _day in range(DAYS)]
    sites = [HOME] + [f"neighbour {number}".encode() for number in range(count)]
    return {
        site: [round(day * size * chance.gauss(1, scatter)) for day in course] for site in sites for size in [1.5]
    }


def saved(homes: dict[bytes, list[int | None]], outdoor_dc: tuple[int | None, ...] = MILD) -> Saving:
    return measure(homes, frozenset({HOME}), outdoor_dc, BASELINE, Terms())[HOME]


def test_home_when_it_saves_a_fifth():
    """What is credited lies between nothing and what was really saved."""
    homes = commune()
    before = sum(homes[HOME][BASELINE:])
    homes[HOME][BASELINE:] = [wh * 8 // 10 for wh in homes[HOME][BASELINE:]]
    answer = saved(homes)
    assert answer.reason is None
    assert 0.5 * 0.2 * before < answer.lower_wh <= 0.2 * before * 1.05
    assert answer.held_wh == answer.lower_wh * Terms().held_permille // 1000


def test_home_when_it_uses_more():
    """More than expected is no debt: nothing is credited, and nothing more."""
    homes = commune()
    homes[HOME][BASELINE:] = [wh * 12 // 10 for wh in homes[HOME][BASELINE:]]
    answer = saved(homes)
    assert answer.reason is None
    assert (answer.credited_wh, answer.held_wh) == (0, 0)
    assert answer.used_wh > answer.expected_wh


def test_home_when_everyone_uses_less():
    """A cause that all homes share is nobody's saving."""
    homes = {site: days[:BASELINE] + [wh * 7 // 10 for wh in days[BASELINE:]] for site, days in commune().items()}
    assert saved(homes).lower_wh <= 0.01 * saved(homes).used_wh


def spoilt(spoil: str) -> tuple[dict[bytes, list[int | None]], tuple[int | None, ...]]:
    homes, weather = commune(), MILD
    if spoil == "days missing":
        homes[HOME][30:34] = [None] * 4
    elif spoil == "no use":
        homes[HOME] = [3] * DAYS
    elif spoil == "backwards":
        homes[HOME][5] = -200
    elif spoil == "lonely":
        homes = dict(list(homes.items())[:9])
    elif spoil == "no thermometer":
        weather = (*MILD[:-1], None)
    elif spoil == "frost":
        weather = (*MILD[:-1], -100)
    elif spoil == "wild":
        chance = random.Random(2)
        homes[HOME] = [round(12_000 * chance.uniform(0.2, 1.8)) for _day in range(DAYS)]
    elif spoil == "moved in":
        homes[HOME][14:BASELINE] = [wh * 16 // 10 for wh in homes[HOME][14:BASELINE]]
    return homes, weather


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("days missing", Reason.DAYS_MISSING),
        ("no use", Reason.NO_USE),
        ("backwards", Reason.BACKWARDS),
        ("lonely", Reason.TOO_FEW_TO_COMPARE),
        ("no thermometer", Reason.WEATHER_UNKNOWN),
        ("frost", Reason.WEATHER_BEYOND),
        ("wild", Reason.UNPREDICTABLE),
        ("moved in", Reason.CHANGED),
    ],
)
def test_home_when_nothing_can_be_told(spoil: str, reason: Reason):
    """The first reason that holds, with a sentence, and no figure at all."""
    answer = saved(*spoilt(spoil))
    assert answer == Saving(reason)
    assert sentence(reason).endswith(".")


def test_reason_when_every_one_has_a_sentence():
    """No two the same."""
    assert len({sentence(reason) for reason in Reason}) == len(Reason)


def test_homes_when_they_come_in_another_order():
    """Who stands where in the file changes nothing."""
    homes = commune()
    shuffled = list(homes.items())
    random.Random(3).shuffle(shuffled)
    assert saved(dict(shuffled)) == saved(homes)


def test_home_when_a_day_is_missing():
    """A day that nobody measured is neither used nor expected."""
    homes = commune()
    whole = saved(homes)
    homes[HOME][40] = None
    answer = saved(homes)
    assert answer.reason is None
    assert answer.used_wh < whole.used_wh
    assert answer.expected_wh < whole.expected_wh


@pytest.mark.parametrize(
    ("paid_wh", "held_wh", "lower_wh", "released"),
    [(700, 300, 1000, 300), (700, 300, 900, 200), (700, 300, 500, 0), (700, 300, 5000, 300), (0, 0, 100, 0)],
)
def test_true_up(paid_wh: int, held_wh: int, lower_wh: int, released: int):
    """What is held is released as far as it proved true; what was paid is never taken back."""
    at_true_up = Saving(None, 9000, 8000, lower_wh, 0)
    assert released_wh(paid_wh, held_wh, at_true_up) == released


def test_forty_homes_when_nobody_saves():
    """At least thirty qualify, the others have a reason; less than 1 % of what was used is credited."""
    answers = figures.qualified()
    assert len(answers) == 40
    assert sum(answer.reason is None for answer in answers.values()) >= 30
    assert fmean(figures.false_positives(30)) < 0.01


@pytest.mark.parametrize("saved_permille", [100, 200])
def test_forty_homes_when_some_save(saved_permille: int):
    """At least 40 % of what was put in is credited, and all of it or more in at most one run of twenty."""
    shares = figures.recovered(saved_permille, 40)
    assert fmean(shares) >= 0.4
    assert sum(share > 1 for share in shares) <= len(shares) / 20


def test_record_when_read():
    """Forty homes, seven weeks, a temperature for each day."""
    record = homes.read()
    assert len(record.homes) == 40
    assert {len(days) for days in record.homes.values()} == {len(record.outdoor_dc)} == {DAYS}
