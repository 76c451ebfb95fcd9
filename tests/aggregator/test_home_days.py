"""home-days.db: the same sums whether they were followed or made anew, with late blocks and mints; homes alike."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aggregator.impact import alike
from aggregator.impact.alike import Alike, Home
from aggregator.impact.home_days import FILE, HomeDay, HomeDays
from aggregator.impact.measured import Commune
from aggregator.impact.periods import Period
from aggregator.impact.similar import Alone
from aggregator.privacy.rule import Withheld
from aggregator.testing import TIME_S, ident
from commonwatt.errors import StorageError

PARIS, UTC = ZoneInfo("Europe/Paris"), ZoneInfo("UTC")
DAY = date(2024, 7, 15)
SUN, ANA = ident("sun's"), ident("ana's")
JULY = Period(date(2024, 7, 1), date(2024, 7, 31), UTC)


def wh(n: int, even_wh: int) -> int:
    """What grows in the first n quarters: never twice the same in a row, because that would be held as stuck."""
    return sum(even_wh + at % 5 for at in range(n)) if even_wh else 0


def rows(first: int, count: int, drawn_wh: int, fed_wh: int) -> list[tuple[int, int]]:
    """Registers from the reading at an interval on."""
    return [(wh(n, drawn_wh), wh(n, fed_wh)) for n in range(first, first + count + 1)]


def live(works) -> None:
    """Six hours: sun gives 300 Wh a quarter and makes 400; ana, whose plug uses 50, and ben take 100 each; an hour of
    ana's comes late, after sun's first hours were minted."""
    sun = works.meters["sun-main"].sign(TIME_S, rows(0, 24, 0, 300))
    roof = works.meters["sun-roof"].sign(TIME_S, [(wh(n, 400),) for n in range(25)])
    ben = works.meters["ben-main"].sign(TIME_S, rows(0, 24, 110, 0))
    plug = works.meters["ana-plug"].sign(TIME_S, [(wh(n, 50),) for n in range(25)])
    early = works.meters["ana-main"].sign(TIME_S, rows(0, 8, 100, 0))
    late = works.meters["ana-main"].sign(TIME_S + 8 * 900, rows(8, 16, 100, 0))
    works.clock.civil_s = TIME_S + 24 * 900
    assert works.deliver(sun, roof, ben, plug, early) == {}
    works.close_until(TIME_S + 12 * 900)
    follow(works)
    assert works.deliver(late) == {}
    works.close_until(TIME_S + 24 * 900)


def follow(works) -> dict[bytes, dict[date, HomeDay]]:
    """Every home's days as they are kept now."""
    days = HomeDays(works.directory, UTC)
    assert days.catch_up(Commune.read(works.directory)) == 0
    return {ident(f"{home}'s"): days.home(ident(f"{home}'s"), DAY, DAY) for home in ("ana", "ben", "sun")}


@pytest.mark.engines("sqlite")
def test_days_when_followed_or_made_anew(works) -> None:
    """A home's day holds what its meters counted and what the ledger gave it; late readings are in it; who deletes
    the file gets the same one back. A span is the same read by days or by months."""
    live(works)
    followed = follow(works)
    (works.directory / FILE).unlink()
    assert follow(works) == followed
    sun, ana = followed[SUN][DAY], followed[ANA][DAY]
    made_wh, fed_wh, drawn_wh = wh(24, 400), wh(24, 300), wh(24, 100)
    assert (sun.production_wh, sun.export_wh) == (made_wh, fed_wh)
    assert (sun.local_wh, sun.used_wh) == (made_wh - fed_wh, made_wh - fed_wh)
    assert (ana.import_wh, ana.used_wh, ana.known, ana.quarters) == (drawn_wh, drawn_wh, 24, 96)
    assert ana.matched_wh > 8 * 100
    earned = {SUN: sun, ANA: ana, ident("ben's"): followed[ident("ben's")][DAY]}
    balances = works.balances()
    assert balances.pop("association") > 0
    assert {name: earned[ident(f"{name}'s")].earned_mc for name in balances} == balances

    assert sun.given_wh == 0, "with three homes, what neighbours used of one's sun would be their use"
    days = HomeDays(works.directory, UTC)
    assert days.plugs([ident("ana-plug")], DAY, DAY) == {ident("ana-plug"): wh(24, 50)}
    assert days.used(date(2024, 6, 10), date(2024, 8, 20)) == days.used(DAY, DAY)
    assert days.used(JULY.first, JULY.last)[ANA] == (wh(24, 100), 24)
    assert (days.first_day(), days.known_until_s()) == (DAY, TIME_S + 24 * 900)


@pytest.mark.engines("sqlite")
def test_file_of_another_zone_or_damaged(works) -> None:
    """Other days begin at other times: it is made anew. A damaged file is named, with what to do."""
    live(works)
    follow(works)
    paris = HomeDays(works.directory, PARIS)
    assert paris.home(ANA, DAY, DAY) == {}
    paris.catch_up(Commune.read(works.directory))
    assert paris.home(ANA, DAY, DAY)[DAY].used_wh == wh(24, 100)
    paris.forget([ANA], [ident("ana-plug")])
    assert (paris.home(ANA, DAY, DAY), paris.plugs([ident("ana-plug")], DAY, DAY)) == ({}, {})
    for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
        (works.directory / name).unlink(missing_ok=True)
    (works.directory / FILE).write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(StorageError, match="delete this file"):
        HomeDays(works.directory, UTC)


def homes(count: int, **more: object) -> list[Home]:
    alike_wh = {"has_roof": False, "heating": "electric", "yearly_wh": 4_000_000}
    return [Home(bytes([n]) * 16, **(alike_wh | more)) for n in range(count)]  # type: ignore[arg-type]


def used(found: list[Home]) -> dict[bytes, tuple[int, int]]:
    return {home.site: (300_000 + 1000 * n, len(JULY.starts_s)) for n, home in enumerate(found)}


def test_homes_alike_when_each_of_them_asks(tmp_path: Path) -> None:
    """Everybody is told the mean of the same homes, so that no two answers together tell of one home."""
    found = homes(12)
    answers = {alike.mean(tmp_path / "private.db", home, found, used(found), JULY) for home in found}
    assert answers == {Alike(305_500, 12, 11, "electric", True)}
    stranger = Home(b"x" * 16, False, "electric", 4_000_000)
    told = alike.mean(tmp_path / "private.db", stranger, found, used(found), JULY)
    assert told == Alike(305_500, 12, 12, "electric", True)


def test_homes_alike_when_one_leaves(tmp_path: Path) -> None:
    """A group that lost one is told nothing more of these days: the difference would be that home. Others are."""
    found = homes(14)
    assert isinstance(alike.mean(tmp_path / "private.db", found[0], found, used(found), JULY), Alike)
    left = found[:-1]
    assert alike.mean(tmp_path / "private.db", found[0], left, used(left), JULY) is Withheld.DIFFERS_BY_FEW
    august = Period(date(2024, 8, 1), date(2024, 8, 31), UTC)
    assert isinstance(alike.mean(tmp_path / "private.db", found[0], left, used(left), august), Alike)


@pytest.mark.parametrize(
    ("count", "own", "why"),
    [
        (10, {}, Alone.TOO_FEW_SITES),
        (30, {"yearly_wh": None}, Alone.SIZE_UNKNOWN),
        (30, {"has_roof": True}, Alone.TOO_FEW_SITES),
    ],
)
def test_homes_alike_when_there_are_too_few(tmp_path: Path, count: int, own: dict[str, object], why: Alone) -> None:
    """Ten others are the least; the asker does not count."""
    found = homes(count)
    (asker,) = homes(1, **own)
    assert alike.mean(tmp_path / "private.db", asker, found, used(found), JULY) is why


def test_homes_alike_when_one_uses_most(tmp_path: Path) -> None:
    """Who uses half of all would be known by the mean."""
    found = homes(15)
    known = used(found) | {found[3].site: (40_000_000, len(JULY.starts_s))}
    assert alike.mean(tmp_path / "private.db", found[0], found, known, JULY) is Withheld.DOMINATED
