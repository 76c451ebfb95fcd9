"""The public pages over real HTTP: what they tell, what they keep to themselves, and how they behave."""

import csv
import gzip
import io
import re
import shutil
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from aggregator import testing
from aggregator.privacy.public import PublicTotal
from aggregator.privacy.rule import Withheld
from commonwatt.units import INTERVAL_S
from ledger.log.published import PublishedLog
from tests.web.conftest import HOMES, SLOTS, ZONE, Site, demand_wh, serving, settle_town, supply_wh
from web import chart
from web.public import figures

PAGES = ["/", "/log", "/verify", "/data"]


class Reader(HTMLParser):
    """Words, addresses and headings of a page; every element that is opened is closed."""

    VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.addresses += [value for name, value in attrs if name in ("href", "src", "action") and value]
        assert not [name for name, _value in attrs if name == "style" or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_page_when_anybody_looks(site: Site, path: str, language: str) -> None:
    """Whole, small, in the browser's language, nothing from elsewhere, a script only to check proofs."""
    answer = site.get(path, accept_language=language, accept_encoding="gzip")
    assert answer.status == 200
    assert len(answer.body) < 20_000
    page = gzip.decompress(answer.body).decode()
    assert f'<html lang="{language}">' in page
    read = Reader(page)
    assert ("script" in read.tags) == (path == "/verify")
    assert read.tags.count("h1") == 1
    assert all(address.startswith(("/", "#")) for address in read.addresses)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-language"] == language
    assert "server" not in answer.headers


def test_town_when_its_day_is_settled(site: Site) -> None:
    """The figures are the sums of what every home gave and asked for, as the same words in both languages."""
    numbers = range(len(HOMES))
    asked, given = (
        [sum(of(number, slot) for number in numbers) for slot in range(SLOTS)] for of in (demand_wh, supply_wh)
    )
    matched_wh = sum(map(min, asked, given))
    words = Reader(site.get("/", accept_language="en").text).words
    assert f"{matched_wh / 1000:,.1f} kWh of each other" in words
    assert f"{round(100 * (matched_wh * 1000 // sum(asked)) / 1000)}%" in words
    french = Reader(site.get("/", accept_language="fr").text).words
    assert f"{matched_wh / 1000:.1f}".replace(".", ",") in french.replace("\u202f", "").replace("\xa0", " ")


def test_charts_when_read_without_eyes(site: Site) -> None:
    """Each is well-formed, has a name and words at every bar; colours are classes that the stylesheet has."""
    page = site.get("/", accept_language="en").text
    style = site.get("/static/style.css").text
    charts = re.findall(r"<svg class=\"chart\".*?</svg>", page, re.S)
    assert len(charts) == 2
    for drawn in charts:
        root = ET.fromstring(drawn)
        assert root.get("aria-label")
        for element in root.iter():
            for kind in (element.get("class") or "").split():
                assert f".{kind}" in style
    titles = [element.text or "" for element in ET.fromstring(charts[0]).iter("title")]
    assert any("from neighbours" in title and "kWh" in title for title in titles)


def test_town_when_it_is_small(tmp_path: Path) -> None:
    """Of five homes nothing is told but that, and why."""
    settle_town(tmp_path, HOMES[:5])
    with serving(tmp_path) as site:
        words = Reader(site.get("/", accept_language="en").text).words
        assert "Fewer than ten homes" in words
        assert "cannot be told" in words
        assert "kWh" not in words.replace("0.0 kWh", "")
        month = site.get("/data/energy-15min-2024-07.csv").text
        assert {row["supply_wh"] for row in csv.DictReader(io.StringIO(month))} == {""}


def test_town_before_anything_was_measured(tmp_path: Path) -> None:
    """It says so."""
    testing.quarter(tmp_path).close()
    testing.write_papers(tmp_path)
    with serving(tmp_path) as site:
        assert "Nothing has been settled yet" in site.get("/", accept_language="en").text
        assert "nothing has been settled" in site.get("/data", accept_language="en").text


def test_log_page_when_compared(site: Site, town: Path) -> None:
    """It shows what a stranger compares: the key, the first entry, the head."""
    head = PublishedLog(town / "log").unverified_checkpoint()
    page = site.get("/log", accept_language="en").text
    assert head.root.hex() in page
    assert f"{head.size} entries" in page
    assert (town / "log.vkey").read_text().strip().replace("+", "&#43;") in page.replace("+", "&#43;")


def test_month_when_downloaded(site: Site) -> None:
    """Every settled quarter of an hour, as open data has it; the page leads there."""
    assert "/data/energy-15min-2024-07.csv" in Reader(site.get("/data").text).addresses
    answer = site.get("/data/energy-15min-2024-07.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["demand_wh"]) for row in rows] == [
        sum(demand_wh(number, slot) for number in range(len(HOMES))) for slot in range(SLOTS)
    ]


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/data/energy-15min-2024-13.csv",
        "/data/energy-15min-2023-01.csv",
        "/data/energy-15min-..%2f..%2fetc.csv",
        "/static/../pages.py",
        "/static/%2e%2e/app.py",
        "/<script>alert(1)</script>",
    ],
)
def test_page_that_is_not_there(site: Site, path: str) -> None:
    """A page that says so, whatever was asked for, and lets nothing of it in."""
    answer = site.get(path, accept_language="fr")
    assert answer.status == 404
    assert "<script" not in answer.text
    assert "/static/style.css" in Reader(answer.text).addresses


@pytest.mark.parametrize(
    ("query", "to", "cookie"),
    [
        ("lang=fr&to=/log", "/log", "language=fr"),
        ("lang=de&to=/log", "/log", ""),
        ("lang=fr&to=//evil.example/", "/", "language=fr"),
        ("lang=fr&to=https://evil.example/", "/", "language=fr"),
        ("lang=en&to=/%5Cevil.example", "/", "language=en"),
        ("", "/", ""),
    ],
)
def test_language_when_chosen(site: Site, query: str, to: str, cookie: str) -> None:
    """It is remembered, and the reader goes back to the page, never elsewhere."""
    answer = site.get(f"/language?{query}")
    assert (answer.status, answer.headers["location"]) == (303, to)
    assert answer.headers.get("set-cookie", "").startswith(cookie)
    page = site.get("/", cookie=answer.headers.get("set-cookie", "x=y"), accept_language="en").text
    assert f'lang="{"fr" if cookie == "language=fr" else "en"}"' in page


def test_client_that_asks_without_end(town: Path) -> None:
    """Past its burst it is told when to come back, and then served again."""
    with serving(town, per_s=0.5) as site:
        answers = [site.get("/log") for _ in range(61)]
        assert {answer.status for answer in answers[:60]} == {200}
        assert (answers[60].status, answers[60].headers["retry-after"]) == (429, "3")
        assert "content-security-policy" in answers[60].headers
        site.clock.advance(2)
        assert site.get("/log").status == 200
        assert site.get("/static/icon.svg").status == 200


def test_pages_when_the_keys_and_names_are_elsewhere(town: Path, tmp_path: Path) -> None:
    """What everyone may see needs neither the log's key, nor a role's, nor the private store."""
    bare = tmp_path / "town"
    shutil.copytree(town, bare, ignore=shutil.ignore_patterns("*.key", "keys", "private.db*", "ledger.*"))
    with serving(bare) as site:
        assert {path: site.get(path).status for path in PAGES} == dict.fromkeys(PAGES, 200)


def test_town_when_its_log_is_damaged(tmp_path: Path) -> None:
    """A sentence instead of figures; details go to the operator's log only."""
    settle_town(tmp_path, HOMES[:1])
    with serving(tmp_path) as site:
        (tmp_path / "log" / "checkpoint").write_bytes(b"not a checkpoint")
        answer = site.get("/", accept_language="en")
        assert answer.status == 503
        assert "cannot be read at the moment" in answer.text
        assert str(tmp_path) not in answer.text


def test_week_when_clocks_change() -> None:
    """A day has 92, 96 or 100 quarters; the seven last days are taken, each by the local calendar."""
    end_s = 1_711_922_400  # 2024-04-01 00:00 in Paris; the day before had 23 hours
    start_s = figures.first_s(end_s - 1, ZONE)
    totals = [PublicTotal(at, 12, 4, 8, 4, 0, ()) for at in range(start_s - 86_400, end_s, INTERVAL_S)]
    week = figures.week(totals, ZONE)
    assert [day.quarters for day in week.days] == [96] * 6 + [92]
    assert [day.told for day in week.days] == [96] * 6 + [92]
    assert week.share_permille == 500
    assert str(week.days[-1].day) == "2024-03-31"


def test_line_when_nothing_is_told_between() -> None:
    """It is broken there, not drawn through."""
    drawn = ET.fromstring(str(chart.lines([chart.Line("demand", [1, 2, None, 4])], [], title="x")))
    paths = [element.get("d") for element in drawn.iter("path") if "over" in (element.get("class") or "")]
    assert len(paths) == 2


def test_chart_when_words_are_not_tame() -> None:
    """What is said in a chart is text, whatever it is."""
    drawn = str(chart.bars([chart.Bar([("matched", 3)], "<b>", '"><script>')], title="<i>&"))
    assert "<script>" not in drawn
    assert ET.fromstring(drawn).get("aria-label") == "<i>&"


def test_week_when_the_sunny_quarters_are_withheld() -> None:
    """What is not told is not taken for nothing: no share is named where the only sun is withheld."""
    dark = PublicTotal(testing.TIME_S, 10, 0, 900, 0, 0, ())
    sunny = PublicTotal(testing.TIME_S + INTERVAL_S, 10, None, 800, None, None, (Withheld.DOMINATED,))
    assert figures.week([dark, sunny], ZONE).share_permille is None
    assert figures.week([dark], ZONE).share_permille == 0
