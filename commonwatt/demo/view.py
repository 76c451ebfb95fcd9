"""The live view: the commune at a glance on a terminal, plain lines everywhere else."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from commonwatt.demo import numbers
from commonwatt.demo.faults import Kill
from commonwatt.demo.founding import Commune
from commonwatt.demo.numbers import Numbers
from commonwatt.demo.people import BAKER
from commonwatt.demo.plan import Plan
from commonwatt.demo.registers.homes import Village
from commonwatt.i18n import _
from commonwatt.units import format_credits

FRAMES_PER_S = 4
LINE_EVERY_S = 5.0
BAR_CELLS = 24
NAME_CELLS = 24


class View:
    """Shows one frame after another; `with` leaves the last one on the screen."""

    def __init__(self, console: Console, commune: Commune, plan: Plan) -> None:
        self._console = console
        self._plan = plan
        self._devices = {identifier.hex(): name for name, identifier in commune.ids.devices.items()}
        self._accounts = {identifier.hex(): name for name, identifier in commune.ids.accounts.items()}
        self._live = Live(console=console, auto_refresh=False, transient=False) if console.is_terminal else None
        self._next_s = 0.0

    def __enter__(self) -> "View":
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live:
            self._live.__exit__(*error)

    def show(self, civil_s: float, aggregator: dict[str, Any], kills: list[Kill]) -> None:
        """Draw if it is time to."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + (1 / FRAMES_PER_S if self._live else LINE_EVERY_S)
        now = numbers.read(aggregator, self._plan.village, self._devices, self._accounts)
        if self._live:
            self._live.update(frame(self._plan, civil_s, now, kills), refresh=True)
        else:
            self._console.print(line(civil_s, now, kills), soft_wrap=True, highlight=False)


def line(civil_s: float, now: Numbers, kills: list[Kill]) -> str:
    """The commune in one line, for logs."""
    return _(
        "{time}  blocks {accepted} accepted, {refused} refused, {duplicates} again  "
        "used {used} kWh  solar {solar} kWh  log {log} entries{kills}"
    ).format(
        time=_clock(civil_s),
        accepted=now.accepted,
        refused=now.refused,
        duplicates=now.duplicates,
        used=format_credits(sum(now.used_wh.values())),
        solar=format_credits(sum(now.solar_wh.values())),
        log=now.log_size,
        kills="  " + _("killed: {names}").format(names=", ".join(kill.program for kill in kills)) if kills else "",
    )


def frame(plan: Plan, civil_s: float, now: Numbers, kills: list[Kill]) -> RenderableType:
    """The commune on a terminal: every home of a street; of a village its feeders, and the homes that have panels."""
    village = plan.village
    parts: list[RenderableType] = [_head(plan, civil_s), _counts(now)]
    if len(village.feeders) > 1:
        parts += [_feeders(village, now), Text()]
    parts.append(_homes(village, now))
    if kills:
        names = ", ".join(f"{kill.program} {_clock(kill.at_s)[-5:]}" for kill in kills)
        parts.append(Text(_("killed: {names}").format(names=names), style="red"))
    subtitle = (
        _("{homes} homes, {roofs} solar roofs").format(homes=plan.homes, roofs=len(village.roofs))
        if village.roofs
        else _("ten homes, one solar roof")
    )
    return Panel(Group(*parts), title="Commonwatt", subtitle=subtitle, border_style="green")


def _head(plan: Plan, civil_s: float) -> RenderableType:
    done_s = min(max(civil_s - plan.starts_s, 0), plan.ends_s - plan.starts_s)
    grid = Table.grid(padding=(0, 2))
    phase = _("measuring") if civil_s < plan.ends_s else _("waiting for the last grace to end")
    bar = ProgressBar(total=plan.ends_s - plan.starts_s, completed=done_s, width=BAR_CELLS * 2)
    grid.add_row(Text(_clock(civil_s), style="bold"), bar, Text(phase, style="dim"))
    return grid


def _counts(now: Numbers) -> RenderableType:
    counts = (
        (_("readings"), now.readings, "bold"),
        (_("blocks verified"), now.accepted, "bold green"),
        (_("refused"), now.refused, "bold red" if now.refused else "bold"),
        (_("repeated"), now.duplicates, "bold"),
        (_("log entries"), now.log_size, "bold"),
        (_("at the checkpoint"), now.checkpoint_size, "bold"),
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_row(*(Text.assemble((f"{value} ", style), label) for label, value, style in counts))
    return grid


def _feeders(village: Village, now: Numbers) -> RenderableType:
    rows = []
    for feeder in village.feeders:
        name = _("{feeder} feeder, {homes} homes").format(feeder=feeder.name, homes=len(feeder.homes))
        used_wh, solar_wh, credits_mc = (
            sum(by_home.get(home, 0) for home in feeder.homes)
            for by_home in (now.used_wh, now.solar_wh, now.credits_mc)
        )
        rows.append((name, used_wh, solar_wh, credits_mc))
    return _table(_("feeder"), rows)


def _homes(village: Village, now: Numbers) -> RenderableType:
    with_roof = {village.devices[name].home for name in village.roofs}
    shown = [home for home in village.homes if home in with_roof] if with_roof else village.homes
    rows = [
        (name, now.used_wh.get(name), now.solar_wh.get(name, 0), now.credits_mc.get(name, 0))
        for name in (*shown, BAKER)
    ]
    return _table(_("solar home") if with_roof else _("home"), rows)


def _table(what: str, rows: Sequence[tuple[str, int | None, int, int]]) -> RenderableType:
    """A row each: name, Wh from the grid (None: no meter), Wh of solar, mc; the bar shows the credits."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(what, min_width=NAME_CELLS)
    for header in (_("from the grid, kWh"), _("solar, kWh"), _("credits")):
        table.add_column(header, justify="right")
    table.add_column("")
    most_mc = max(amount_mc for *_others, amount_mc in rows)
    for name, used_wh, solar_wh, amount_mc in rows:
        bar = "█" * round(BAR_CELLS * amount_mc / most_mc) if most_mc > 0 else ""
        table.add_row(
            name,
            "" if used_wh is None else format_credits(used_wh),
            format_credits(solar_wh) if solar_wh else "",
            Text(format_credits(amount_mc), style="bold green" if amount_mc else "dim"),
            Text(bar, style="green"),
        )
    return table


def _clock(civil_s: float) -> str:
    return f"{datetime.fromtimestamp(civil_s, UTC):%a %d %b %Y %H:%M}"
