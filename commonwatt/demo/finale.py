"""How the demo ends: the judge looks, the solar home pays the baker, the log is verified by whoever likes."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from commonwatt import evidence_file, status
from commonwatt.clock import CivilClock
from commonwatt.demo.faults import Kill
from commonwatt.demo.founding import COMMONWATT, Commune
from commonwatt.demo.layout import Layout
from commonwatt.demo.people import BAKER
from commonwatt.demo.plan import DAY_S, Plan
from commonwatt.demo.programs import run
from commonwatt.evidence_page import names
from commonwatt.i18n import _
from commonwatt.units import INTERVAL_S, format_kwh

STATISTICS = ("production_wh", "consumption_wh", "matched_wh")
"""The figures of `commonwatt statistics` that the demo shows."""


def conclude(
    plan: Plan, commune: Commune, console: Console, kills: Sequence[Kill], *, resent: int, clock: CivilClock
) -> int:
    """Judge, pay, judge again, verify; 0 only if everything balances. `clock`: civil time from now on."""
    if plan.faults:
        console.print(_faults_table(commune, kills, resent))
        if _duplicates(commune) == 0:
            console.print(
                _("No block came twice: the faults hit nothing in flight, so they showed nothing."), style="red"
            )
            return 1
    if (code := _judge(commune)) != 0:
        return code
    if "shifting" in plan.rules:
        console.print(_asked(plan, commune), soft_wrap=True, highlight=False)
    console.print(_pay_the_baker(commune, clock), soft_wrap=True, highlight=False)
    if (code := _judge(commune, "--brief")) != 0:
        return code
    console.print(_statistics(plan, commune))
    console.print(_verify(commune), soft_wrap=True, highlight=False)
    console.print(_what_now(plan, commune), soft_wrap=True, highlight=False)
    return 0


def _judge(commune: Commune, *options: str) -> int:
    """The judge is a program of its own, which imports nothing of what it judges; its words go straight out."""
    argv = [sys.executable, "-m", "commonwatt.demo.judge", str(commune.layout.root), *options]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, check=False).returncode


def _asked(plan: Plan, commune: Commune) -> str:
    """Who heard of the peak that the operator announced, as the gateways say it."""
    start, end = (datetime.fromtimestamp(at_s, plan.zone) for at_s in plan.peak_s)
    states = [commune.layout.gateway_toml(name).with_name("status.json") for name in commune.village.gateways]
    told = sum(int(status.read(path).get("requests", {}).get("devices", 0)) for path in states)
    return _(
        "The operator asked to use less on {day} from {start} to {end}: {count} meter readers were told."
    ).format(day=f"{start:%Y-%m-%d}", start=f"{start:%H:%M}", end=f"{end:%H:%M}", count=told)


def _pay_the_baker(commune: Commune, clock: CivilClock) -> str:
    layout, ids, solar_home = commune.layout, commune.ids, commune.village.solar_home
    words = run(
        [
            *(COMMONWATT, "ledger", "pay", str(layout.root), "--wallet", str(layout.wallet(solar_home))),
            *("--from", ids.accounts[solar_home].hex(), "--to", ids.accounts[BAKER].hex()),
            *("--credits", "1", "--memo", _("one loaf of bread"), "--clock", str(clock)),
        ],
        log_file=layout.logs / "finale.log",
    )
    said = _("{home} pays the {baker}: {words}").format(home=solar_home, baker=BAKER, words=words.strip())
    return "\n".join((said, *(_balance(commune, name) for name in (solar_home, BAKER))))


def _balance(commune: Commune, name: str) -> str:
    words = [COMMONWATT, "ledger", "balance", str(commune.layout.root), commune.ids.accounts[name].hex()]
    return "  " + run(words, log_file=commune.layout.logs / "finale.log").strip()


def _verify(commune: Commune) -> str:
    layout = commune.layout
    return run(
        [COMMONWATT, "ledger", "verify", str(layout.log), "--vkey", str(layout.vkey), "--mode", "audit"],
        log_file=layout.logs / "finale.log",
    ).strip()


def _statistics(plan: Plan, commune: Commune) -> Table:
    """What may be told of the commune and its feeders, day by day, and why the rest may not."""
    table = Table(title=_("Statistics, as far as they tell of no single home"), box=None)
    for column in (_("place"), _("day"), _("homes"), *(name.removesuffix("_wh") for name in STATISTICS)):
        table.add_column(column, justify="left" if column in (_("place"), _("day")) else "right")
    first_s, last_s = plan.starts_s, plan.ends_s - DAY_S
    for cell in ("commune", *(f"feeder:{feeder.name}" for feeder in commune.village.feeders)):
        words = ("statistics", commune.layout.root, "--cell", cell, "--from", _day(first_s), "--to", _day(last_s))
        argv = [COMMONWATT, *map(str, words), "--by", "day", "--zone", "UTC", "--json"]
        for row in json.loads(run(argv, log_file=commune.layout.logs / "finale.log"))["rows"]:
            texts = [format_kwh(row[name]) if name in row else row["withheld"][name] for name in STATISTICS]
            table.add_row(cell, _day(row["start_s"]), str(row["sites"]), *texts)
    return table


def _day(time_s: int) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d}"


def _faults_table(commune: Commune, kills: Sequence[Kill], resent: int) -> Table:
    table = Table(title=_("What the faults did"), box=None, show_header=False)
    for target in dict.fromkeys(kill.target for kill in kills):
        of_target = [kill for kill in kills if kill.target is target]
        table.add_row(_("killed: {name}").format(name=target.label), f"{len(of_target)}")
    table.add_row(_("batches sent again"), str(resent))
    table.add_row(_("duplicates dropped"), str(_duplicates(commune)))
    table.add_row(_("gaps in the readings"), str(_gaps(commune)))
    return table


def _duplicates(commune: Commune) -> int:
    return int(status.read(commune.layout.aggregator_status).get("blocks", {}).get("duplicate", 0))


def _gaps(commune: Commune) -> int:
    """Places where a device's readings skip a quarter of an hour or more, as the evidence has them."""
    with sqlite3.connect(f"file:{commune.layout.root / 'aggregator.db'}?mode=ro", uri=True) as evidence:
        places = [
            place
            for page in evidence_file.pages(evidence)
            for place in zip(
                names(page.device), page.seq.tolist(), page.start_s.tolist(), page.end_s.tolist(), strict=True
            )
        ]
    return sum(
        device == next_device and next_start_s > end_s + INTERVAL_S
        for (device, _, _, end_s), (next_device, _, next_start_s, _) in pairwise(sorted(places))
    )


def _what_now(plan: Plan, commune: Commune) -> str:
    layout = Layout(from_here(commune.layout.root))
    dashboards = _(
        "\nIts telemetry is in InfluxDB. A Grafana shows it after:\n"
        "  commonwatt dashboards push --url https://GRAFANA --token-file FILE --influx http://HOST:8086 --demo {root}"
    ).format(root=layout.root)
    told = dashboards if commune.layout.influx.exists() else ""
    browser = "" if plan.keep else _("\nWith make demo KEEP=1 it stays open in a browser.")
    return (
        told
        + browser
        + _(
            "\nThe commune lies in {root}. Anyone can check it:\n"
            "  commonwatt ledger verify {log} --vkey {vkey}\n"
            "  commonwatt ledger show {log}"
        ).format(root=layout.root, log=layout.log, vkey=layout.vkey)
    )


def from_here(path: Path) -> Path:
    """The path as one would type it: relative if it lies below this directory."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
