"""Statistics, open data and shares of a town of thirty homes, asked through the command; refusals first."""

import csv
import json
import shutil
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aggregator import numbers
from aggregator.privacy.http import StatisticsPages
from aggregator.private.store import PrivateStore
from aggregator.reading import reading
from aggregator.settling import claim_pages
from aggregator.testing import TIME_S, commonwatt, ident
from commonwatt.units import INT64_MAX

DAY = "2024-07-15"
SLOTS = 96
HOMES = [f"home{number:02}" for number in range(30)]


def import_wh(number: int, slot: int) -> int:
    return 60 + number + slot % 7


def export_wh(number: int, slot: int) -> int:
    return 0 if number % 2 or not 24 <= slot < 72 else 140 + number


def registers(number: int) -> list[tuple[int, int]]:
    """Of one home at every quarter of an hour of the day, both ends included."""
    rows = [(0, 0)]
    for slot in range(SLOTS):
        rows.append((rows[-1][0] + import_wh(number, slot), rows[-1][1] + export_wh(number, slot)))
    return rows


@dataclass
class Town:
    """A town whose first day is settled, its aggregator stopped."""

    directory: Path

    def ask(self, *words: object, day: str = DAY) -> tuple[int, str, str]:
        return commonwatt("statistics", self.directory, "--from", day, "--zone", "UTC", *words)

    def row(self, cell: str, day: str = DAY) -> dict[str, object]:
        """The day's line."""
        code, text, errors = self.ask("--json", "--cell", cell, day=day)
        assert code == 0, errors
        (row,) = json.loads(text)["rows"]
        return dict(row)

    def reasons(self, cell: str, day: str = DAY) -> set[object]:
        row = self.row(cell, day)
        withheld = row["withheld"]
        assert isinstance(withheld, dict)
        return {*withheld.values()}

    def amend(self, table: str, names: list[str], **changes: object) -> None:
        """What is said of somebody from the first day on."""
        store = PrivateStore(self.directory / "private.db")
        for name in names:
            person = store.find(table, name)
            assert person is not None
            store.amend(person, changes, at_s=TIME_S)
        store.save()

    def move(self, names: list[str], quarter: str) -> None:
        store = PrivateStore(self.directory / "private.db")
        self.amend("sites", [f"{name}'s" for name in names], quarter=store.enrol("quarters", quarter, None).id.hex())


def enrol(directory: Path) -> None:
    """Homes 0 to 14 in the Old Town, the others in the New Town; 0 to 17 on the mill's feeder; all agree to be
    counted."""
    store = PrivateStore(directory / "private.db")
    old, new = (store.enrol("quarters", name, None).id.hex() for name in ("Old Town", "New Town"))
    line = store.enrol("transformers", "T1", None).id.hex()
    mill = store.enrol("feeders", "Mill", None, {"transformer": line}, TIME_S).id.hex()
    station = store.enrol("feeders", "Station", None, {"transformer": line}, TIME_S).id.hex()
    store.enrol("quarters", "Hamlet", None)
    for number, home in enumerate(HOMES):
        store.enrol("members", home, ident(home), {"consent": {"statistics": "2024-07-15"}}, TIME_S)
        where = {"quarter": old if number < 15 else new, "feeder": mill if number < 18 else station}
        store.enrol("sites", f"{home}'s", ident(f"{home}'s"), where, TIME_S)
    store.save()


@pytest.fixture(scope="module")
def settled(found_town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The town with its first day settled; tests take copies."""
    works = found_town(tmp_path_factory.mktemp("town"), HOMES)
    blocks = [works.meters[f"{home}-main"].sign(TIME_S, registers(number)) for number, home in enumerate(HOMES)]
    assert works.deliver(*blocks) == {}
    works.close_until(TIME_S + SLOTS * 900)
    works.database.close()
    works.ledger.close()
    enrol(works.directory)
    directory: Path = works.directory
    return directory


@pytest.fixture
def town(settled: Path, tmp_path: Path) -> Town:
    """A copy that a test may change."""
    shutil.copytree(settled, tmp_path / "town")
    return Town(tmp_path / "town")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--cell", "quarter:Nowhere"), "there is no cell 'quarter:Nowhere'"),
        (("--cell", "street:Mill"), "there is no cell 'street:Mill'"),
        (("--by", "hour"), "'hour' is no step"),
        (("--to", "2024-07-14"), "no span of days"),
        (("--to", "yesterday"), "'yesterday' is no day"),
        (("--zone", "Mars/Olympus"), "no time zone"),
    ],
)
def test_question_when_it_is_none(town, words, what):
    """A sentence, exit code 2, and nothing is remembered of it."""
    code, _, errors = town.ask(*words)
    assert code == 2
    assert what in errors


def test_statistics_when_nothing_was_measured(town):
    """Whoever names another directory is told."""
    (town.directory / "aggregator.db").unlink()
    code, _, errors = town.ask()
    assert code == 2
    assert "nothing was measured here yet" in errors


def test_statistics_when_the_day_is_not_over(town):
    """A day that has not closed is not told in part."""
    assert town.reasons("quarter:Old Town", "2024-07-16") == {"not-settled"}


def test_statistics_when_there_are_nine_homes(town):
    """Nine are too few, for want of homes or of consents alike; ten are told."""
    assert town.reasons("quarter:Hamlet") == {"too-few-sites"}
    town.move(HOMES[:9], "Hamlet")
    assert town.reasons("quarter:Hamlet") == {"too-few-sites"}
    town.move(HOMES[9:10], "Hamlet")
    row = town.row("quarter:Hamlet")
    assert (row["sites"], row["withheld"]) == (10, {})
    assert row["import_wh"] == sum(import_wh(number, slot) for number in range(10) for slot in range(SLOTS))


def test_statistics_when_one_home_dominates(town):
    """Of a figure one home makes most of, nothing is told, nor what it follows from, nor matched energy: at noon that
    is all that is exported."""
    town.move(HOMES[1::2], "Hamlet")
    town.move(HOMES[:1], "Hamlet")
    row = town.row("quarter:Hamlet")
    dominated = {"export_wh", "production_wh", "consumption_wh", "self_consumed_wh", "matched_wh"}
    assert row["withheld"] == dict.fromkeys(sorted(dominated), "dominated") | {}
    assert "import_wh" in row
    assert not dominated & row.keys()


def test_statistics_when_two_cells_differ_by_a_few(town):
    """Feeder and quarter share fifteen homes; the feeder has three more, whose figures the two would tell."""
    assert town.row("quarter:Old Town")["withheld"] == {}
    assert town.reasons("feeder:Mill") == {"differs-by-few"}
    assert town.row("quarter:New Town")["withheld"] == {}


def test_statistics_when_somebody_withdraws(town):
    """Whoever does not agree is left out; with the public totals, the other quarter would tell of her."""
    town.amend("members", HOMES[:1], consent={"statistics": "2024-07-14"})
    row = town.row("quarter:Old Town")
    assert (row["sites"], row["left_out"], row["withheld"]) == (14, 1, {})
    assert row["import_wh"] == sum(import_wh(number, slot) for number in range(1, 15) for slot in range(SLOTS))
    assert town.reasons("quarter:New Town") == {"differs-by-few"}


def test_statistics_when_asked_again(town):
    """The same homes, the same answer, whoever has moved or withdrawn since; another process remembers."""
    before = town.row("quarter:Old Town")
    town.move(HOMES[14:15], "New Town")
    town.amend("members", HOMES[:1], consent=None)
    after = town.row("quarter:Old Town")
    assert [after[name] for name in ("sites", "import_wh", "matched_wh")] == [
        before[name] for name in ("sites", "import_wh", "matched_wh")
    ]
    assert town.reasons("quarter:New Town") == {"differs-by-few"}


def test_statistics_when_finer_steps_follow(town):
    """Quarters of an hour add up to the day; where nobody produces there is nothing to tell apart."""
    day = town.row("quarter:Old Town")
    code, text, _ = town.ask("--cell", "quarter:Old Town", "--by", "15min", "--json")
    rows = json.loads(text)["rows"]
    assert (code, len(rows)) == (0, SLOTS)
    for name in ("import_wh", "export_wh", "consumption_wh", "matched_wh"):
        assert sum(row[name] for row in rows) == day[name], name
    month = json.loads(town.ask("--cell", "quarter:Old Town", "--by", "month", "--json")[1])["rows"]
    assert [row["import_wh"] for row in month] == [day["import_wh"]]


def test_statistics_when_printed(town):
    """A table for people: reasons stand where figures would."""
    code, text, _ = town.ask("--cell", "transformer:T1")
    assert code == 0
    assert text.splitlines()[0].split()[:2] == ["UTC", "homes"]
    assert text.splitlines()[1].startswith("2024-07-15 00:00      30         0")


@pytest.mark.parametrize("licence", ["MIT", ""])
def test_open_data_when_its_licence_is_none(town, licence):
    """Open data without a licence that anyone knows is not open."""
    code, _, errors = commonwatt("opendata", town.directory, town.directory / "out", "--licence", licence)
    assert code == 2
    assert "no licence" in errors
    assert not (town.directory / "out").exists()


def test_open_data_when_read_by_a_stranger(town):
    """Every quarter of an hour with its totals and its ratio, described by the manifest; again the same bytes."""
    out = opened(town)
    lines = list(csv.DictReader((out / "energy-15min-2024-07.csv").read_text().splitlines()))
    assert len(lines) == SLOTS
    night, noon = lines[4], lines[48]
    assert (night["supply_wh"], night["matched_wh"], night["ratio"]) == ("0", "0", "0.000000")
    assert int(noon["demand_wh"]) == sum(import_wh(number, 48) for number in range(1, 30, 2))
    assert float(noon["ratio"]) == round(int(noon["matched_wh"]) / int(noon["demand_wh"]), 6)
    assert {line["sites"] for line in lines} == {"30"}
    manifest = json.loads((out / "datapackage.json").read_text())
    assert [row["path"] for row in manifest["resources"]] == ["energy-15min-2024-07.csv"]
    assert opened(town) == out


def opened(town: Town) -> Path:
    out = town.directory / "opendata"
    code, words, errors = commonwatt("opendata", town.directory, out)
    assert (code, errors) == (0, "")
    assert words.split() == [str(out / "energy-15min-2024-07.csv"), str(out / "datapackage.json")]
    return out


def test_share_when_worked_out_by_a_resident(town, tmp_path):
    """From own readings and the open data alone: within a watt-hour a quarter of an hour of what settlement gave."""
    out = opened(town)
    for number in (1, 8, 29):
        rows = "".join(f"{TIME_S + 900 * at},{imp},{exp}\n" for at, (imp, exp) in enumerate(registers(number)))
        (tmp_path / "mine.csv").write_text("time_s,import_wh,export_wh\n" + rows)
        code, text, _ = commonwatt("share", out, tmp_path / "mine.csv", "--each")
        assert code == 0
        with reading(town.directory) as connection:
            settled = claim_pages.read(connection, 0, INT64_MAX)
            device = numbers.of(connection).find(numbers.octets([ident(f"{HOMES[number]}-main")]))
            mine = settled.where((settled.device == device[0]) & (settled.source == 2))
        claims = dict(zip(mine.start_s.tolist(), mine.energy_wh.tolist(), strict=True))
        lines = text.splitlines()
        assert len(lines) == SLOTS + 1
        for slot, line in enumerate(lines[:-1]):
            least, most = line.removesuffix(" Wh").split("Wh")[1].split("–")
            assert int(least) <= claims.get(TIME_S + 900 * slot, 0) <= int(most) <= int(least) + 1, line
        assert "public: 96 of 96" in lines[-1]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("time,import\n", "the first line is not time_s,import_wh,export_wh"),
        ("time_s,import_wh,export_wh\n0,1\n", "line 2 is not three whole numbers"),
        ("time_s,import_wh,export_wh\n0,1,x\n", "line 2 is not three whole numbers"),
    ],
)
def test_share_when_the_readings_are_none(town, tmp_path, text, what):
    """The line is named."""
    out = opened(town)
    (tmp_path / "mine.csv").write_text(text)
    code, _, errors = commonwatt("share", out, tmp_path / "mine.csv")
    assert code == 2
    assert what in errors


def test_share_when_the_open_data_were_changed(town, tmp_path):
    """A file that is not the manifest's is not believed."""
    out = opened(town)
    (tmp_path / "mine.csv").write_text("time_s,import_wh,export_wh\n0,1,1\n")
    path = out / "energy-15min-2024-07.csv"
    path.write_text(path.read_text().replace(",30,", ",31,", 1))
    assert "not the file that the manifest names" in commonwatt("share", out, tmp_path / "mine.csv")[2]
    (out / "datapackage.json").unlink()
    assert "no open data of a commune" in commonwatt("share", out, tmp_path / "mine.csv")[2]


@pytest.fixture
def served(town: Town) -> Iterator[Callable[[str], tuple[int, str, Any]]]:
    """Asks over a socket: status, content type, what the body says."""
    with StatisticsPages(town.directory, ("127.0.0.1", 0)) as pages:

        def ask(target: str, language: str = "en") -> tuple[int, str, Any]:
            request = urllib.request.Request(
                f"http://127.0.0.1:{pages.port}{target}", headers={"Accept-Language": language}
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, answer.headers["Content-Type"], json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, error.headers["Content-Type"], json.load(error)

        yield ask


def test_statistics_on_http(town, served):
    """What the command prints, and remembered as if it had been asked: the cell that differs by few is a problem."""
    question = f"/v1/statistics?from={DAY}&zone=UTC&cell="
    status, content_type, body = served(f"{question}quarter%3AOld%20Town")
    assert (status, content_type) == (200, "application/json; charset=utf-8")
    assert body == {"cell": "quarter:Old Town", "rows": [town.row("quarter:Old Town")]}
    status, content_type, body = served(f"{question}feeder%3AMill")
    assert (status, content_type) == (403, "application/problem+json")
    assert (body["type"], body["status"]) == ("/problems/differs-by-few", 403)
    assert body["detail"] == "With what was told before, it would lay a few homes bare."
    assert body["rows"][0]["withheld"]["import_wh"] == "differs-by-few"
    assert "import_wh" not in body["rows"][0]
    assert town.reasons("feeder:Mill") == {"differs-by-few"}


@pytest.mark.parametrize(
    ("target", "status", "reason"),
    [
        ("/v1/statistics?from=2024-07-16&zone=UTC", 404, "not-settled"),
        (f"/v1/statistics?from={DAY}&zone=UTC&cell=quarter%3AHamlet", 403, "too-few-sites"),
        (f"/v1/statistics?from={DAY}&cell=street%3AMill", 400, "parameters"),
        (f"/v1/statistics?from={DAY}&by=hour", 400, "parameters"),
        (f"/v1/statistics?from={DAY}&colour=red", 400, "parameters"),
        (f"/v1/statistics?from={DAY}&from={DAY}", 400, "parameters"),
        (f"/v1/statistics?from={DAY}&to=2026-07-15", 400, "parameters"),
        (f"/v1/statistics?from={DAY}&zone=Mars", 400, "parameters"),
        ("/v1/statistics", 400, "parameters"),
        ("/v1/statistics?" + "&".join(["a=1"] * 50), 400, "parameters"),
        ("/statistics", 404, "http"),
    ],
)
def test_question_on_http_when_it_is_refused(served, target, status, reason):
    """A problem by its reason."""
    found, content_type, body = served(target)
    assert (found, content_type, body["type"]) == (status, "application/problem+json", f"/problems/{reason}")


def test_question_on_http_in_french(served):
    """Sentences are in the language of who asks; reasons are not."""
    _status, _type, body = served(f"/v1/statistics?from={DAY}&zone=UTC&cell=quarter%3AHamlet", "fr")
    assert body["type"] == "/problems/too-few-sites"
    assert "foyers" in body["detail"]


def test_question_on_http_when_nothing_can_be_read(town, served):
    """The store is not there: later, perhaps; and the port that somebody has is said."""
    (town.directory / "aggregator.db").unlink()
    assert served(f"/v1/statistics?from={DAY}")[0] == 503
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
        code, _said, errors = town_command(town, "--listen", f"127.0.0.1:{address[1]}")
    assert code == 2
    assert "cannot listen on 127.0.0.1:" in errors


def town_command(town: Town, *words: str) -> tuple[int, str, str]:
    return commonwatt("aggregator", "statistics", town.directory, *words)
