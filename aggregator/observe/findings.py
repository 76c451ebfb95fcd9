"""What is well, what is not, and what to do about it: decided from a state alone.

healthy needs nobody. degraded works on, and somebody should look soon. failing means that batches are not answered or
that nothing is minted: somebody should act now. Nothing is lost in any of them: gateways keep what was not answered.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from aggregator.observe.state import Books, State
from commonwatt.i18n import _

STUCK_S = 30.0
"""The loop tells its state every second; so much later it hangs."""
DUE_S_MAX = 4 * 3600.0
"""Civil time for which a closing may be overdue: a restart after an outage has some to catch up."""
OUTBOX_S_MAX = 3600.0
OLDEST_S_MAX = 60.0
"""Protocol time a batch may wait at the gate before it is worth a word."""
BEHIND_S_MAX = 3 * 3600.0
COSIGNED_S_MAX = 900.0
"""Witnesses are asked every ten seconds; one that restarts is no trouble."""
DISK_LOW_BYTES, DISK_OUT_BYTES = 2 << 30, 200 << 20


class Level(IntEnum):
    """How bad it is."""

    HEALTHY = 0
    DEGRADED = 1
    FAILING = 2

    @property
    def label(self) -> str:
        """As the JSON says it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """What it is about, what is the case, and what to do, "" if nothing."""

    level: Level
    about: str
    says: str
    to_do: str = ""

    def as_json(self) -> dict[str, Any]:
        """The object of /health."""
        return {**asdict(self), "level": self.level.label}


def findings(state: State | None, *, age_s: float) -> list[Finding]:
    """Everything that is not as it should be, the worst first; one healthy line if all is. `age_s`: of the state."""
    if state is None:
        return [Finding(Level.DEGRADED, "loop", _("It is starting."), _("Wait a minute and look again."))]
    if age_s > STUCK_S:
        says = _("It has hung for {age} s; no batch is answered.").format(age=round(age_s))
        return [Finding(Level.FAILING, "loop", says, _("Look at its log and at the disk, then restart it."))]
    found = [*_brokers(state), *_gate(state), *_clock(state), *_disk(state), *_telemetry(state)]
    found += _books(state.books) if state.books else []
    role = _("It leads.") if state.books else _("It takes batches; another one leads.")
    return sorted(found, key=lambda finding: -finding.level) or [Finding(Level.HEALTHY, "loop", role)]


def worst(found: list[Finding]) -> Level:
    """The level of the whole process."""
    return max((finding.level for finding in found), default=Level.HEALTHY)


def _brokers(state: State) -> Iterator[Finding]:
    for name, trouble in state.brokers.items():
        if trouble is not None:
            says = _("The broker ({name}) is not reached: {trouble}").format(name=name, trouble=trouble)
            to_do = _("Is it running? Are address, password and certificates in the account file right?")
            yield Finding(Level.FAILING, "broker", says, to_do)


def _gate(state: State) -> Iterator[Finding]:
    if state.gate["full_lanes"]:
        says = _("{count} gateways bring more than the limits allow; they wait, the others do not.")
        to_do = _(
            "After an outage it passes. If not: see which in the broker's log, or raise limits in aggregator.toml."
        )
        yield Finding(Level.DEGRADED, "gate", says.format(count=int(state.gate["full_lanes"])), to_do)
    elif state.gate["oldest_s"] > OLDEST_S_MAX:
        says = _("The oldest of {count} batches has waited for {age} s.")
        to_do = _("This machine is too slow for what comes: give it processes, or start another aggregator.")
        text = says.format(count=int(state.gate["batches"]), age=round(state.gate["oldest_s"]))
        yield Finding(Level.DEGRADED, "gate", text, to_do)


def _clock(state: State) -> Iterator[Finding]:
    if state.doubt is not None:
        says = _("The clock is in doubt ({why}): batches are answered, nothing is closed.").format(why=state.doubt)
        to_do = _("Set it right (timedatectl); if it is right, the next batches of the gateways will say so.")
        yield Finding(Level.FAILING, "clock", says, to_do)
    elif state.clock_leaps:
        says = _("The clock was set {count} times since the start, last by {seconds} s.")
        text = says.format(count=state.clock_leaps, seconds=state.last_leap_s)
        yield Finding(Level.DEGRADED, "clock", text, _("Is the time service running? See timedatectl."))


def _disk(state: State) -> Iterator[Finding]:
    free = state.disk_free_bytes
    if free is not None and free < DISK_LOW_BYTES:
        level = Level.FAILING if free < DISK_OUT_BYTES else Level.DEGRADED
        says = _("{free} MB are free on the disk.").format(free=free >> 20)
        yield Finding(
            level, "disk", says, _("Make room: without any, the service ends and gateways keep everything.")
        )


def _telemetry(state: State) -> Iterator[Finding]:
    for name, trouble in state.telemetry.items():
        if trouble is not None:
            says = _("{name} takes no points: {trouble}").format(name=name, trouble=trouble)
            to_do = _("Mend it when you like: all points are written then. The books do not need it.")
            yield Finding(Level.DEGRADED, "telemetry", says, to_do)
    if state.telemetry_behind_s > BEHIND_S_MAX and not any(state.telemetry.values()):
        says = _("Dashboards are {hours} h behind and catching up.").format(
            hours=int(state.telemetry_behind_s // 3600)
        )
        yield Finding(Level.DEGRADED, "telemetry", says)


def _witnesses(books: Books) -> Iterator[Finding]:
    """Only where something waits for them: a quiet log asks nobody for anything."""
    witnesses = books.witnesses
    if witnesses is None or books.checkpoint_age_s <= COSIGNED_S_MAX:
        return
    lag = books.report["checkpoint_size"] - witnesses.cosigned_entries
    if lag > 0 and (witnesses.cosigned_age_s is None or witnesses.cosigned_age_s > COSIGNED_S_MAX):
        says = _("The witnesses have not cosigned {count} published entries.").format(count=lag)
        to_do = _("Is commonwatt ledger cosign running? It names the witnesses that do not answer. Nothing is lost.")
        yield Finding(Level.DEGRADED, "witnesses", says, to_do)


def _books(books: Books) -> Iterator[Finding]:
    yield from _witnesses(books)
    if books.due_s > DUE_S_MAX:
        says = _("The next interval could have been closed {hours} h ago.").format(hours=int(books.due_s // 3600))
        yield Finding(
            Level.DEGRADED, "closing", says, _("If this grows, the machine is too slow or the clock in doubt.")
        )
    if books.outbox_runs and books.outbox_age_s > OUTBOX_S_MAX:
        says = _("{count} mint-runs wait for the ledger.").format(count=books.outbox_runs)
        yield Finding(
            Level.FAILING, "outbox", says, _("Look at the log: the ledger's disk or database does not take them.")
        )
    if books.report["frozen_devices"]:
        says = _("{count} devices are frozen: they signed two histories.").format(
            count=books.report["frozen_devices"]
        )
        yield Finding(Level.DEGRADED, "devices", says, _("See commonwatt device list; revoke or exchange them."))
    if books.report["held"]:
        says = _("{count} spans are held for a steward.").format(count=books.report["held"])
        yield Finding(Level.HEALTHY, "holds", says, _("See commonwatt holds list."))
