"""The course of the demo: found, run, drain, judge, pay, verify, and stay if it is asked to."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from commonwatt import status
from commonwatt.clock import CivilClock
from commonwatt.demo import dashboards, finale, keeping
from commonwatt.demo import faults as fault_plan
from commonwatt.demo.brokers import AGGREGATOR, Broker
from commonwatt.demo.cast import Cast, assemble
from commonwatt.demo.faults import Faults, Target
from commonwatt.demo.founding import found
from commonwatt.demo.plan import Plan
from commonwatt.demo.programs import Program, answers, wait_for
from commonwatt.demo.traffic import Traffic
from commonwatt.demo.view import View
from commonwatt.errors import CommonwattError
from commonwatt.i18n import _

LISTEN_S = 0.02
"""Wall seconds that a tick waits for traffic: a kill falls this soon after the message it waits for."""
DRAIN_WALL_S_MAX = 300
BROKER_S_MAX = 120
"""How long somebody has to start a broker of their own."""


def tell(plan: Plan) -> int:
    """Run the demo; 0 only if the books balance. With `plan.keep` it returns when it is told to end."""
    console = Console()
    console.print(
        _("Founding a commune of {homes} homes in {place} …").format(
            homes=plan.homes, place=finale.from_here(plan.directory)
        )
    )
    if plan.faults:
        console.print(_("Faults are on, seed {seed}.").format(seed=plan.seed))
    commune = found(plan)
    if plan.broker_url:
        _await_broker(commune.brokers.town, console)
    relay = dashboards.prepare(plan.influx, commune.layout) if plan.influx else None
    clock = plan.running_clock()
    cast = assemble(commune, clock, relay)
    faults = _plan_faults(plan, cast)
    with _running(cast), Traffic(commune) as traffic, View(console, commune, plan) as view:
        _watch(plan, cast, clock, faults, traffic, view)
        if plan.influx:
            dashboards.await_told(commune.layout, plan.ends_s)
    after = clock.from_now(1)
    code = finale.conclude(plan, commune, console, faults.done, resent=traffic.resent, clock=after)
    return keeping.keep(plan, commune, cast, console, after) if plan.keep and code == 0 else code


def _await_broker(broker: Broker, console: Console) -> None:
    """Somebody else's broker needs the accounts that were just made; civil time starts when it answers."""
    console.print(
        _(
            "Waiting {seconds} s for a broker at {url} with the accounts of {place}, for example:\n"
            "  mosquitto -c {place}/mosquitto.conf"
        ).format(seconds=BROKER_S_MAX, url=broker.url, place=finale.from_here(broker.directory)),
        soft_wrap=True,
    )
    wait_for(lambda: answers(*broker.address), what=broker.url, timeout_s=BROKER_S_MAX)


def _plan_faults(plan: Plan, cast: Cast) -> Faults:
    village = plan.village
    brokers = [broker.name for broker in cast.commune.brokers.all if broker.is_ours]
    hit = {
        Target.GATEWAY: village.gateways,
        Target.AGGREGATOR: (AGGREGATOR,),
        Target.BROKER: brokers,
        Target.READER: village.readers,
    }
    return Faults(
        fault_plan.schedule(plan.seed, plan.starts_s, plan.ends_s, hit) if plan.faults else [], cast.programs
    )


@contextmanager
def _running(cast: Cast) -> Iterator[None]:
    """Everybody is up inside; nobody is left behind, also when the demo itself is asked to end."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        cast.start()
        yield
    finally:
        cast.stop()
        signal.signal(signal.SIGTERM, before)


def _watch(plan: Plan, cast: Cast, clock: CivilClock, faults: Faults, traffic: Traffic, view: View) -> None:
    """Look on, and kill when the plan says so, until everything has been minted."""
    gives_up_s = time.monotonic() + clock.wall_s_until(plan.ends_s) + DRAIN_WALL_S_MAX
    while True:
        faults.tick(clock.now_s(), time.monotonic(), traffic.passed(LISTEN_S))
        for program in cast.programs.values():
            _check(program, faults)
        aggregator = status.read(cast.commune.layout.aggregator_status)
        view.show(clock.now_s(), aggregator, faults.done)
        if faults.is_over and _is_drained(plan, aggregator):
            return
        if time.monotonic() > gives_up_s:
            raise CommonwattError(
                _("the last window was not minted; see the logs in {place}").format(place=cast.commune.layout.logs)
            )


def _check(program: Program, faults: Faults) -> None:
    if not faults.is_down(program):
        program.check()


def _is_drained(plan: Plan, aggregator: dict[str, Any]) -> bool:
    """Whether the window after the data's last is closed (a gap may reach over the end); then the last is minted."""
    return int(aggregator.get("intervals", {}).get("last_end_s", 0)) > plan.ends_s + plan.window_s
