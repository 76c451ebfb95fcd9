"""python -m tests.sim.year --days 365 --seed 1 DIR: exit 0 only if all books are exact and say the same.

Three lives of the same year at once: clean; mangled (shuffled, repeated, delayed within the grace, killed); late
(mangled, and some blocks come after the grace or never, and other kills). Each is judged by the demo's judge, its log
verified and its policy replayed.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from commonwatt.demo.judge.judge import judge
from commonwatt.demo.judge.report import JudgeReport
from ledger.testing import TIME_S
from tests.sim.year import replay, streams
from tests.sim.year.homes import DAYS_MAX, meters
from tests.sim.year.replay import HOUR_S, Year

COMMONWATT = str(Path(sys.executable).with_name("commonwatt"))
LIVES = ("clean", "mangled", "late")
CLAIM_SHOWN_MAX = 5


@dataclass(frozen=True)
class Told:
    """What came of one life. `odd`: blocks that came after the grace or never."""

    name: str
    kills: int
    odd: frozenset[streams.Place]
    lived_s: float
    judged_s: float
    report: JudgeReport
    verified: str
    replayed: bool


def main(arguments: list[str] | None = None) -> int:
    """Live, judge, compare, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.year", description=__doc__)
    parser.add_argument("directory", type=Path, help="an empty directory; the books stay there")
    parser.add_argument("--days", type=int, default=DAYS_MAX)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=None, help="of each life that is not clean; default: one a week")
    options = parser.parse_args(arguments)
    started_s = time.monotonic()
    year = replay.sign(meters(options.days), 24 * options.days)
    print(f"{options.days} days of {len({m.home for m in year.meters})} homes, {len(year.meters)} meters,", end=" ")
    print(f"{96 * options.days} intervals, {len(year.signed)} blocks, seed {options.seed}", flush=True)
    kills = options.days // 7 if options.kills is None else options.kills
    lives = [(year, name, options.directory / name, options.seed, kills) for name in LIVES]
    # Forked, because the blocks are large and every life reads them.
    with ProcessPoolExecutor(len(lives), mp_context=multiprocessing.get_context("fork")) as pool:
        told = dict(zip(LIVES, pool.map(_live, lives), strict=True))
    for one in told.values():
        _tell(one)
    wrong = [line for one in told.values() for line in _wrong(one)]
    wrong += _compare(year, told)
    for line in wrong:
        print(f"  {line}")
    print(f"{'exact' if not wrong else 'NOT EXACT'}, {time.monotonic() - started_s:.0f} s in all")
    return 1 if wrong else 0


def _live(life: tuple[Year, str, Path, int, int]) -> Told:
    year, name, directory, seed, kills = life
    count, odd = len(year.meters), set[streams.Place]()
    if name == "clean":
        arrivals, kills = streams.clean(count, year.hours, year.steps), 0
    elif name == "mangled":
        arrivals = streams.mangled(seed, count, year.hours, year.steps)
    else:
        arrivals, odd = streams.late(seed, count, year.hours, year.steps)
    began_s = time.monotonic()
    fallen = replay.run(directory, year, arrivals, replay.kills(seed + len(name), kills, year.steps))
    lived_s = time.monotonic() - began_s
    report = judge(directory)
    judged_s = time.monotonic() - began_s - lived_s
    verified = _command("ledger", "verify", directory / "log", "--vkey", directory / "log.vkey", "--mode", "audit")
    return Told(name, fallen, frozenset(odd), lived_s, judged_s, report, verified, _is_replayed(directory, report))


def _is_replayed(directory: Path, report: JudgeReport) -> bool:
    """Whether the policy in force, proposed again, would make what it made: claim by claim the same credits."""
    words = ("policy", "replay", directory, directory / "policy.toml", "--last", f"{DAYS_MAX + 7}d", "--json")
    outcome = json.loads(_command(*words))
    made_mc = {line.account.hex(): line.log_mc for line in report.balances}
    return outcome["total"]["before_mc"] == outcome["total"]["after_mc"] == -made_mc[bytes(16).hex()] and all(
        figures["before_mc"] == figures["after_mc"] == made_mc[account]
        for account, figures in outcome["accounts"].items()
    )


def _command(*words: object) -> str:
    done = subprocess.run([COMMONWATT, *map(str, words)], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else f"failed: {done.stdout}{done.stderr}"


def _tell(one: Told) -> None:
    print(f"{one.name}: {one.kills} kills, {len(one.odd)} blocks after the grace or never")
    print(f"  lived {one.lived_s:.0f} s, judged {one.judged_s:.0f} s")
    print("  " + ", ".join(f"{count} {what}" for what, count in one.report.counts.items()))
    made_mc = next((-line.log_mc for line in one.report.balances if line.account == bytes(16)), 0)
    print(f"  {made_mc} mc made; {one.verified.splitlines()[0] if one.verified else 'not verified'}", flush=True)


def _wrong(one: Told) -> list[str]:
    """What is not as it should be in the books of one life."""
    wrong = [f"{one.name}: {difference}" for difference in one.report.differences[:CLAIM_SHOWN_MAX]]
    if not one.verified.startswith("OK"):
        wrong.append(f"{one.name}: the log does not verify: {one.verified}")
    if not one.replayed:
        wrong.append(f"{one.name}: the policy replayed makes other credits")
    return wrong


def _compare(year: Year, told: Mapping[str, Told]) -> list[str]:
    """Within the grace everything is the same. Beyond it, the intervals in which nothing was late are the same, and a
    roof has earned every watt-hour whenever its blocks came."""
    clean, mangled, late = (told[name].report for name in LIVES)
    wrong = _different("mangled", clean.claims, mangled.claims)
    wrong += _different("mangled", _balances(clean), _balances(mangled))
    touched_s = {TIME_S + HOUR_S * hour for _device, hour in told["late"].odd}
    wrong += _different("late", _untouched(clean, touched_s), _untouched(late, touched_s))
    print(f"within the grace: {len(clean.claims)} claims and {len(clean.balances)} balances compared")
    print(f"beyond the grace: {len(_untouched(clean, touched_s))} claims of hours without a late block compared")
    return wrong + _different("late", _production(clean), _production(late))


def _balances(report: JudgeReport) -> dict[str, str]:
    return {line.account.hex(): str(line.log_mc) for line in report.balances}


def _untouched(report: JudgeReport, touched_s: set[int]) -> dict[str, str]:
    return {name: text for name, text in report.claims.items() if _start_s(name) // HOUR_S * HOUR_S not in touched_s}


def _production(report: JudgeReport) -> dict[str, str]:
    """Wh by roof."""
    sums: dict[str, int] = {}
    for name, text in report.claims.items():
        if " source 1 " in name:
            sums[name.split()[0]] = sums.get(name.split()[0], 0) + int(text.split()[0])
    return {device: str(energy_wh) for device, energy_wh in sums.items()}


def _start_s(claim: str) -> int:
    """Where a claim's span begins; the judge names it "<device> <start>..<end> source …"."""
    return int(claim.split()[1].partition("..")[0])


def _different(where: str, expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    rows = [f"{where}: {name}: {expected.get(name)} or {found.get(name)}" for name in names[:CLAIM_SHOWN_MAX]]
    return rows + ([f"{where}: {len(names)} differ"] if names else [])


if __name__ == "__main__":
    raise SystemExit(main())
