"""A weather station's temperatures: read from real files, kept once, asked for by savings."""

import gzip
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from aggregator.earning import thermometer, weather_rows
from aggregator.policy.rules import Policy
from aggregator.sql import Database
from aggregator.testing import POLICY, write_papers
from bench.savings import homes
from commonwatt.errors import UserError

PARIS = ZoneInfo("Europe/Paris")
SYNOP = Path(__file__).parents[1] / "vectors" / "meteo_france" / "synop_2018-10-29.csv"
FIRST = date(2018, 10, 29)
SAVINGS = POLICY.text + '[savings]\nrate_mc_per_kwh = 300\nstation = "07299"\n'
"""The number as Météo-France writes it; this file lacks its zero."""


@pytest.mark.parametrize("station", ["07299", "7299", "bale-mulhouse"])
def test_station_when_real(station):
    """Local days of three-hourly readings are the means that the savings figures rest on; a day cut short is none."""
    found = thermometer.read(SYNOP, station, PARIS)
    days = [FIRST + timedelta(days=number) for number in range(4)]
    assert list(found) == days
    assert list(found.values()) == list(homes.read().outdoor_dc[:4])


def test_station_when_packed_and_as_it_is_published_today(tmp_path):
    """Semicolons, further columns, "mq", times with their offset: the same means."""
    lines = [line.split(",") for line in SYNOP.read_text().splitlines()[1:]]
    rows = ["numer_sta;date;pmer;t;nom"]
    for number, time, *_rest in lines:
        kelvin = _rest[1]
        iso = f"{time[:4]}-{time[4:6]}-{time[6:8]}T{time[8:10]}:00:00+00:00"
        rows.append(f"0{number};{iso};mq;{kelvin};x")
    rows.append("07299;2018-11-02T00:00:00+00:00;mq;mq;x")
    path = tmp_path / "synop.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    assert thermometer.read(path, "07299", PARIS) == thermometer.read(SYNOP, "07299", PARIS)


def test_days_of_another_source(tmp_path):
    """In degrees Celsius, to a tenth; a day without a figure is not known."""
    path = tmp_path / "days.csv"
    path.write_text("day;mean_c\n2024-07-15;21,25\n2024-07-16;\n2024-07-17;-0.04\n")
    assert thermometer.read(path, "town hall", PARIS) == {date(2024, 7, 15): 212, date(2024, 7, 17): 0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the first line names neither"),
        ("day,mean_c\n", "the first line names neither"),
        ("day,mean\n2024-07-15,3\n", "the first line names neither"),
        ("day,mean_c\n15/07/2024,3\n", "line 2: '15/07/2024' is no day"),
        ("day,mean_c\n2024-07-15,3\n2024-07-16,warm\n", "line 3: 'warm' is no temperature"),
        ("day,mean_c\n2024-07-15,294.3\n", "no temperature of the air"),
        ("numer_sta,date,t\n7299,20181029000000,5.2\n", "line 2: 5.2 is no temperature of the air"),
        ("numer_sta,date,t\n7299,29/10/2018,280\n", "'29/10/2018' is no time"),
        ("numer_sta,date,t\n7149,20181029000000,280\n", "nothing is known of station"),
    ],
)
def test_file_with_a_mistake(tmp_path, text, words):
    """What, where, and what to do."""
    path = tmp_path / "weather.csv"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        thermometer.read(path, "7299", PARIS)
    assert words in str(caught.value)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"\x1f\x8b broken"])
def test_file_that_is_no_text(tmp_path, data):
    """Nor a whole gzip file."""
    path = tmp_path / "weather.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match="cannot be read"):
        thermometer.read(path, "7299", PARIS)


def test_days_when_they_are_known_already(tmp_path):
    """Answers may rest on them: they stay, and it is said."""
    with Database(f"sqlite:///{tmp_path / 'aggregator.db'}") as database:
        days = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=3)]
        assert weather_rows.add(database, "a", dict(zip(days, (10, 20, 30), strict=True))).new == 3
        again = weather_rows.add(database, "a", {days[0]: 11, days[1]: 20, days[1] + timedelta(days=1): 5})
        assert (again.new, again.differing) == (1, (FIRST,))
        weather_rows.add(database, "b", {FIRST: 99})
        with database.transaction() as connection:
            found = weather_rows.of(connection, "a", [FIRST + timedelta(days=number) for number in range(5)])
            (a, b) = weather_rows.stations(connection)
    assert found == [10, 20, 5, 30, None]
    assert (a.first, a.last, a.days, b.days) == (days[0], days[2], 4, 1)


def test_a_station_by_the_command(make_works):
    """While the aggregator runs; by the policy's station; and what is known."""
    works = make_works(policy=Policy.parse(SAVINGS, where="tests"))
    write_papers(works.directory)
    words = ("savings", "weather", works.directory)
    (works.directory / "policy.toml").write_text(SAVINGS)
    code, said, errors = works.while_running(*words, SYNOP)
    assert (code, said, errors) == (0, "07299: 4 days from 2018-10-29 to 2018-11-01, 4 of them new\n", "")
    assert "0 of them new" in works.while_running(*words, SYNOP)[1]
    assert works.while_running(*words)[1].startswith("07299  2018-10-29 – 2018-11-01  4 days, 0 between them")
    other = works.directory / "days.csv"
    other.write_text("day,mean_c\n2018-10-29,30\n")
    assert "stays" in works.while_running(*words, other)[2]
    (works.directory / "policy.toml").write_text(POLICY.text)
    assert "names no station" in works.while_running(*words, other)[2]
