"""What is well, what is not, and what to do about it: a decision for each part of a gateway, from its state alone.

Green needs nobody. Orange works for now, and somebody should look this week. Red loses detail, or will soon: somebody
should act today. Energy is not lost in any of them, because registers are cumulative.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from commonwatt.i18n import _
from gateway.meters.silence import meaning_of

State = Mapping[str, Any]

STUCK_S = 30.0
"""The loop tells its state every second; so much later it hangs (the machine's own clock)."""
WAITS_S, WAITS_LONG_S = 3_600, 86_400
"""For how long upstream may owe a receipt: a bad line for an hour is no news, for a day it is."""
DEVICE_QUIET_S, DEVICE_GONE_S = 2 * 3_600, 86_400
"""Since a device's last block: devices send one at least every quarter of an hour."""
SPOOL_ORANGE, SPOOL_RED = 0.5, 0.9
"""Share of the spool's limit, at which devices will have to keep their blocks."""
DISK_ORANGE_BYTES, DISK_RED_BYTES = 1 << 30, 200 << 20
METER_GONE_S = 3 * 3_600
"""Since a meter's last reading, while it is silent."""


class Level(IntEnum):
    """How bad it is."""

    GREEN = 0
    ORANGE = 1
    RED = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page: what it is about, what is the case, and what to do, "" if nothing."""

    level: Level
    about: str
    says: str
    to_do: str = ""


def findings(state: State, *, age_s: float) -> list[Finding]:
    """One or more for every part, the worst first. `age_s`: how old the state is, on the machine's own clock."""
    if not state:
        return [Finding(Level.ORANGE, _("Gateway"), _("It is starting."), _("Wait a minute and look again."))]
    found = [_loop(state, age_s)]
    if found[0].level == Level.GREEN:
        found += [
            _clock(state),
            *_brokers(state),
            _receipts(state),
            _refused_upstream(state),
            *_ignored(state),
            _spool(state),
            _disk(state),
        ]
        found += [*_meters(state), *_devices(state), *_blocks(state), *_requests(state), *_settings(state)]
    return sorted(found, key=lambda finding: -finding.level)


def worst(found: list[Finding]) -> Level:
    """The level of the whole gateway."""
    return max((finding.level for finding in found), default=Level.GREEN)


def _loop(state: State, age_s: float) -> Finding:
    about = _("Gateway")
    if state["state"] != "up":
        return Finding(Level.RED, about, _("It was stopped."), _("Start it: systemctl start commonwatt-gateway"))
    if age_s > STUCK_S:
        says = _("It has hung for {age}. What follows would be old, so it is not shown.").format(age=spell(age_s))
        to_do = _(
            "It is restarted after two minutes. If it hangs again, the memory card is probably worn: replace it."
        )
        return Finding(Level.RED, about, says, to_do)
    return Finding(Level.GREEN, about, _("It runs."))


def _clock(state: State) -> Finding:
    about = _("Clock")
    if state["clock"] != "trusted":
        says = _("Nobody has set the clock since the start, so nothing is signed and no meter is read.")
        to_do = _(
            "Check the way to the Internet (box, cable); then in a terminal: timedatectl, systemctl restart chrony"
        )
        return Finding(Level.RED, about, says, to_do)
    jumps = state["clock_jumps"]
    if jumps["count"]:
        says = _("It is right. It was set {count} times since the start, last by {seconds} s.")
        return Finding(Level.GREEN, about, says.format(count=jumps["count"], seconds=round(jumps["last_s"])))
    return Finding(Level.GREEN, about, _("It is right."))


def _brokers(state: State) -> Iterator[Finding]:
    up, trouble = state["broker"], state.get("broker_trouble", {})
    about = _("Devices' broker")
    if up["local"]:
        yield Finding(Level.GREEN, about, _("Reached."))
    else:
        says = _("Not reached: plugs and meter readers cannot deliver. They keep their readings for weeks.")
        to_do = _(
            "Is the broker running? systemctl status mosquitto. Are address and password in gateway.toml right?"
        )
        yield Finding(Level.RED, about, _because(says, trouble.get("local")), to_do)
    about = _("The commune's broker")
    if up["upstream"]:
        yield Finding(Level.GREEN, about, _("Reached."))
    else:
        says = _("Not reached: everything is kept here and sent later.")
        to_do = _(
            "Check the way to the Internet (box, cable). If others have it too, the commune's server is down: wait."
        )
        yield Finding(Level.ORANGE, about, _because(says, trouble.get("upstream")), to_do)


def _because(says: str, trouble: str | None) -> str:
    return f"{says} ({trouble})" if trouble else says


def _receipts(state: State) -> Finding:
    about = _("Receipts")
    age_s = state["spool"]["oldest_age_s"] or 0
    if age_s < WAITS_S:
        return Finding(Level.GREEN, about, _("What was sent is confirmed."))
    says = _("The oldest of {count} blocks has waited for its receipt for {age}. All of them are kept.").format(
        count=state["spool"]["blocks"], age=spell(age_s)
    )
    to_do = _("If the commune's broker is reached, tell the association: its server does not answer.")
    return Finding(Level.RED if age_s >= WAITS_LONG_S else Level.ORANGE, about, says, to_do)


def _refused_upstream(state: State) -> Finding:
    about = _("Refused by the commune")
    refused = state["spool"]["refused_upstream"]
    if not refused:
        return Finding(Level.GREEN, about, _("Nothing."))
    says = _("{count} blocks were refused and are kept aside: {reasons}").format(
        count=sum(refused.values()), reasons=_reasons(refused)
    )
    return Finding(Level.ORANGE, about, says, _("Tell the association: it can see which device it is, and why."))


def _ignored(state: State) -> Iterator[Finding]:
    ignored = dict(state["ignored"])
    about = _("Messages not believed")
    if unknown := ignored.pop("unknown-batch", 0):
        says = _("{count} receipts named no batch that waits for one: harmless, and normal after a bad line.")
        yield Finding(Level.GREEN, about, says.format(count=unknown))
    if ignored:
        says = _("{count} messages from the commune's side changed nothing here: {reasons}")
        to_do = _("Tell the association: its keys have changed, an old copy was restored, or somebody plays tricks.")
        yield Finding(Level.ORANGE, about, says.format(count=sum(ignored.values()), reasons=_reasons(ignored)), to_do)


def _spool(state: State) -> Finding:
    about = _("Spool")
    spool = state["spool"]
    limit = spool.get("bytes_max")
    share = spool["bytes"] / limit if limit else 0.0
    says = _("{share} % of its limit is used.").format(share=round(100 * share))
    if share < SPOOL_ORANGE:
        return Finding(Level.GREEN, about, says)
    to_do = _("It empties by itself once the commune's server gives receipts again: see above.")
    return Finding(Level.RED if share >= SPOOL_RED else Level.ORANGE, about, says, to_do)


def _disk(state: State) -> Finding:
    about = _("Disk")
    free = state["spool"].get("disk_free_bytes")
    if free is None:
        return Finding(
            Level.ORANGE, about, _("Its room is not known."), _("Are the rights of the spool's folder right?")
        )
    says = _("{free} MB are free.").format(free=free >> 20)
    if free >= DISK_ORANGE_BYTES:
        return Finding(Level.GREEN, about, says)
    to_do = _("Make room: journalctl --vacuum-size=100M, apt clean; or put in a larger card.")
    return Finding(Level.RED if free < DISK_RED_BYTES else Level.ORANGE, about, says, to_do)


def _meters(state: State) -> Iterator[Finding]:
    for name, meter in state["meters"].items():
        about = _("Meter {name}").format(name=name)
        last_s = meter["last_s"]
        ago = spell(state["civil_s"] - last_s) if last_s is not None else None
        because = meter.get("silent_because") or meter.get("doubted_because")
        if because is None and ago is None:
            yield Finding(Level.GREEN, about, _("It is read at the next quarter of an hour."))
        elif because is None:
            yield Finding(Level.GREEN, about, _("Read {ago} ago.").format(ago=ago))
        else:
            is_gone = last_s is None or state["civil_s"] - last_s >= METER_GONE_S
            when = _("last read {ago} ago").format(ago=ago) if ago else _("never read since the start")
            says = _("No reading ({when}): {meaning}").format(when=when, meaning=meaning_of(because))
            to_do = _("To try it: commonwatt gateway check gateway.toml. In the board only an electrician works.")
            yield Finding(Level.RED if is_gone else Level.ORANGE, about, says, to_do)


def _devices(state: State) -> Iterator[Finding]:
    said = state.get("devices", {}).get("by_device", {})
    seen = state.get("seen", {})
    for device in sorted({*seen, *said} - {meter.get("device") for meter in state["meters"].values()}):
        about = _("Device {id}").format(id=device[:8])
        if device not in seen:
            yield _device_unseen(about, said[device])
            continue
        age_s = state["civil_s"] - seen[device]
        says = _("Its last block came {ago} ago.").format(ago=spell(age_s))
        if age_s < DEVICE_QUIET_S:
            yield Finding(Level.GREEN, about, says)
        else:
            to_do = _(
                "Is it plugged in? Is its Wi-Fi there? Unplug it for ten seconds. It keeps its readings meanwhile."
            )
            yield Finding(Level.RED if age_s >= DEVICE_GONE_S else Level.ORANGE, about, says, to_do)
    known = state["registry"]["devices"]
    if state["registry"]["log_size"] is None:
        to_do = _("It comes with the first connection to the commune. If that is reached: tell the association.")
        yield Finding(Level.ORANGE, _("Registry"), _("None yet: no device is known, so no block is taken."), to_do)
    else:
        yield Finding(Level.GREEN, _("Registry"), _("{count} devices and meters are known.").format(count=known))


def _device_unseen(about: str, said: State) -> Finding:
    if said["online"]:
        return Finding(Level.GREEN, about, _("It is online; no block has come since the gateway's start."))
    to_do = _("Is it plugged in? Is its Wi-Fi there? Unplug it for ten seconds. It keeps its readings meanwhile.")
    return Finding(Level.ORANGE, about, _("It is offline."), to_do)


def _blocks(state: State) -> Iterator[Finding]:
    blocks = state["blocks"]
    waiting = state.get("claims", {}).get("unadmitted", [])
    if blocks["unknown_aside"] or waiting:
        says = _("A device that the commune does not know yet is here.")
        yield Finding(Level.ORANGE, _("New devices"), says, _("Ask the association to admit it."))
    if blocks["refused"]:
        says = _("{count} blocks of devices were refused: {reasons}").format(
            count=sum(blocks["refused"].values()), reasons=_reasons(blocks["refused"])
        )
        to_do = _("Tell the association: a device is broken, was revoked, or somebody pretends to be one.")
        yield Finding(Level.ORANGE, _("Refused blocks"), says, to_do)
    dropped = state["spool"].get("expired", 0) + state["spool"].get("readings_dropped", 0)
    if dropped:
        says = _(
            "{count} blocks or readings were too many or too old to keep: their detail is lost, their energy is not."
        )
        to_do = _("Tell the association; a larger spool_mib_max in gateway.toml keeps more.")
        yield Finding(Level.RED, _("Dropped"), says.format(count=dropped), to_do)
    if blocks["turned_away"]:
        says = _(
            "{count} blocks were not taken because the spool is full; devices keep them and send them again."
        ).format(count=blocks["turned_away"])
        yield Finding(Level.ORANGE, _("Blocks turned away"), says, _("Look at the lines for spool and receipts."))


def _requests(state: State) -> Iterator[Finding]:
    """What the grid's operator asks of this house now, or next."""
    told = state.get("requests")
    if not told or told["log_size"] is None:
        return
    about, now_s = _("The operator asks"), state["civil_s"]
    texts = {
        "peak": (_("Now: please use less, for {length} more."), _("In {wait}: please use less, for {length}.")),
        "surplus": (_("Now: please use more, for {length} more."), _("In {wait}: please use more, for {length}.")),
    }
    coming = [row for row in told["windows"] if row["start_s"] > now_s]
    if told["now"] is not None:
        yield Finding(Level.GREEN, about, texts[told["now"]][0].format(length=spell(told["until_s"] - now_s)))
    elif coming:
        row = coming[0]
        wait, length = spell(row["start_s"] - now_s), spell(row["end_s"] - row["start_s"])
        yield Finding(Level.GREEN, about, texts[row["kind"]][1].format(wait=wait, length=length))
    else:
        yield Finding(Level.GREEN, about, _("Nothing just now."))


def _settings(state: State) -> Iterator[Finding]:
    settings = state.get("settings") or {}
    if settings.get("mistake"):
        says = _("gateway.toml has a mistake; the gateway goes on with what it read before: {mistake}")
        to_do = _("Mend that line, then: systemctl reload commonwatt-gateway")
        yield Finding(Level.ORANGE, _("Settings"), says.format(mistake=settings["mistake"]), to_do)
    if settings.get("restart_for"):
        says = _("Changed in gateway.toml, and taken over by a restart only: {names}")
        to_do = _("When it suits: systemctl restart commonwatt-gateway")
        yield Finding(Level.ORANGE, _("Settings"), says.format(names=", ".join(settings["restart_for"])), to_do)


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))


def spell(age_s: float) -> str:
    """A duration as people say it: "5 min", "3 h", "2 d"."""
    age_s = max(0, int(age_s))
    if age_s < 60:
        return _("{count} s").format(count=age_s)
    if age_s < 3600:
        return _("{count} min").format(count=age_s // 60)
    if age_s < 2 * 86_400:
        return _("{count} h").format(count=age_s // 3600)
    return _("{count} days").format(count=age_s // 86_400)
