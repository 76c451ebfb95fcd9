"""What people see of a running gateway: status.json about once a second, and a short retained state upstream."""

import json
import shutil
from collections.abc import Callable, Sequence
from typing import Any

from commonwatt import status, topics
from commonwatt.clock import Civil, Protocolar
from commonwatt.errors import StorageError
from commonwatt.i18n import _
from gateway.devices import fleet
from gateway.devices.shelf_http import Depot
from gateway.meters.meter import Meter
from gateway.meters.silence import meaning_of
from gateway.reload import Reloader
from gateway.service import Gateway
from gateway.settings import GatewaySettings

STATUS_S = 1.0
"""How often status.json is rewritten (protocol time)."""
STATE_S = 10.0
"""How often the retained state is published while nothing else makes it worth it (protocol time)."""
CLAIMS_SHOWN_MAX = 100
"""Claims that status.json lists, in the order of the devices' ids."""
REFUSED_SHOWN_MAX = 20
"""Refused blocks that status.json lists, the newest first."""
DOWN = b'{"state": "down"}'
"""The last will, and what a gateway says when it is stopped."""


def state_topic(settings: GatewaySettings) -> str:
    """Where the state is retained."""
    return topics.of_gateway(settings.commune, settings.id, topics.STATE)


class Reporter:
    """Writes and publishes the state of a gateway when it is time; `watchers` are shown every state written."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        gateway: Gateway,
        depot: Depot | None,
        watchers: Sequence[Callable[[dict[str, Any]], None]] = (),
        civil: Civil,
        protocol: Protocolar,
    ) -> None:
        self._settings = settings
        self.reloader: Reloader | None = None
        self._depot = depot
        self._watchers = watchers
        self._gateway = gateway
        self._civil = civil
        self._protocol = protocol
        self._written_at_s = self._published_at_s = float("-inf")
        self._connects_seen = 0

    def tick(self) -> None:
        """Call often."""
        now_s = self._protocol.monotonic_s()
        if now_s - self._written_at_s >= STATUS_S:
            self._written_at_s = now_s
            self._show(self.full())
        upstream = self._gateway.upstream
        came_back = upstream.is_up and upstream.connects != self._connects_seen
        if came_back or now_s - self._published_at_s >= STATE_S:
            self._connects_seen = upstream.connects
            self._published_at_s = now_s
            self._publish(json.dumps(self.short()).encode())

    def say_down(self) -> None:
        """The last word of a gateway that is stopped; a killed one's is said by the broker."""
        self._publish(DOWN)
        self._show(self.full() | {"state": "down"})

    def short(self) -> dict[str, Any]:
        """What the aggregator's side may see: counts, no device's data."""
        state, gateway = self.full(), self._gateway
        states = gateway.desks.states.by_device.values()
        meters = [meter["state"] for meter in state["meters"].values()]
        return {
            **{key: state[key] for key in ("state", "civil_s", "blocks", "spool", "batches", "registry")},
            "clock_trusted": gateway.may_sign,
            "clock_jumps": gateway.age.jumps,
            "fleet": fleet.counts(states),
            "grid": fleet.grid(states),
            "meters": {how: meters.count(how) for how in ("ok", "silent", "doubtful")},
        }

    def sentence(self) -> str:
        """One line for `systemctl status`."""
        broker = "reached" if self._gateway.upstream.is_up else "not reached"
        return f"{self._gateway.spool.count} blocks without a receipt, upstream {broker}"

    def full(self) -> dict[str, Any]:
        """Everything; counts are since the start of the process."""
        gateway = self._gateway
        snapshot = gateway.uplink.snapshot
        return {
            "state": "up",
            "id": self._settings.id.hex(),
            "commune": self._settings.commune,
            "civil_s": int(self._civil.now_s()),
            "clock": "trusted" if gateway.may_sign else "unsynchronised: nothing is signed",
            "clock_jumps": {"count": gateway.age.jumps, "last_s": gateway.age.last_jump_s},
            "broker": {"local": gateway.local.is_up, "upstream": gateway.upstream.is_up},
            "broker_trouble": {"local": gateway.local.trouble, "upstream": gateway.upstream.trouble},
            "registry": {
                "log_size": snapshot.log_size if snapshot else None,
                "devices": len(snapshot.devices) if snapshot else 0,
            },
            "readings": {"taken": sum(state.taken for state in gateway.poller.states.values())},
            "time": {
                "answered": gateway.desks.time.answered,
                "unanswered": gateway.desks.time.unanswered,
                "refused": gateway.desks.time.refused,
            },
            "blocks": self._blocks(),
            "spool": self._spool(),
            "batches": {
                "sent": gateway.uplink.sent,
                "resent": gateway.uplink.resent,
                "receipted": gateway.uplink.receipted,
                "in_flight": gateway.uplink.in_flight,
            },
            "ignored": dict(gateway.uplink.ignored + gateway.desks.asking.ignored),
            "refused": self._refused(),
            "commands": self._commands(),
            "claims": self._claims(),
            "requests": self._requests(),
            "updates": self._depot.described() if self._depot else None,
            "devices": gateway.desks.states.described(),
            "seen": {device.hex(): heard_s for device, heard_s in gateway.seen.items()},
            "meters": self._meters(),
            "settings": self._settings_state(),
        }

    def _refused(self) -> list[dict[str, Any]]:
        return [
            {
                "device": block.device.hex(),
                "seq": block.seq,
                "reason": block.reason.label,
                "refused_s": block.refused_s,
            }
            for block in self._gateway.spool.newest_refused(REFUSED_SHOWN_MAX)
        ]

    def _commands(self) -> dict[str, Any]:
        commands = self._gateway.desks.commands
        return {
            "pending": commands.pending,
            "handed_over": commands.handed_over,
            "obeyed": commands.obeyed,
            "expired": commands.expired,
            "pushed_out": commands.pushed_out,
            "refused": dict(commands.refused),
        }

    def _claims(self) -> dict[str, Any]:
        """Claims of devices that are not admitted yet are listed: a person who admits them needs them."""
        desk, devices = self._gateway.desks.claims, self._gateway.uplink.devices
        unadmitted = [claim for device, claim in sorted(desk.claims.items()) if device not in devices]
        return {
            "kept": len(desk.claims),
            "refused": dict(desk.refused),
            "unadmitted": [claim.described() for claim in unadmitted[:CLAIMS_SHOWN_MAX]],
        }

    def _requests(self) -> dict[str, Any]:
        meters = [meter.device for meter in self._gateway.poller.fleet]
        return self._gateway.desks.asking.described(meters, self._civil.now_s())

    def _blocks(self) -> dict[str, Any]:
        gateway, inbox = self._gateway, self._gateway.inbox
        return {
            "received": inbox.received,
            "accepted": gateway.accepted,
            "duplicate": gateway.duplicates,
            "refused": dict(inbox.refused),
            "unknown_aside": len(inbox.aside),
            "unknown_dropped": inbox.aside.dropped,
            "bad_topic": inbox.bad_topic,
            "turned_away": gateway.turned_away,
            "inbox_dropped": gateway.local.dropped,
            "own_meters": gateway.meter_blocks,
        }

    def _spool(self) -> dict[str, Any]:
        spool = self._gateway.spool
        oldest_s = spool.oldest_arrival_s()
        return {
            "blocks": spool.count,
            "waiting": spool.waiting_count,
            "bytes": spool.size_bytes(),
            "bytes_max": self._settings.spool_mib_max * 1024 * 1024,
            "disk_free_bytes": self._disk_free_bytes(),
            "oldest_age_s": None if oldest_s is None else max(0, int(self._civil.now_s()) - oldest_s),
            "expired": self._gateway.expired,
            "readings_dropped": self._gateway.readings_dropped,
            "refused_upstream": spool.refused_by_reason(),
        }

    def _disk_free_bytes(self) -> int | None:
        try:
            return shutil.disk_usage(self._settings.spool_file.parent).free
        except OSError:
            return None

    def _settings_state(self) -> dict[str, Any] | None:
        reloader = self.reloader
        if reloader is None:
            return None
        return {"reloads": reloader.reloads, "mistake": reloader.mistake, "restart_for": reloader.restart_for}

    def _meters(self) -> dict[str, Any]:
        return {meter.name: self._meter(meter) for meter in self._gateway.poller.fleet}

    def _meter(self, meter: Meter) -> dict[str, Any]:
        state, sampler = self._gateway.poller.states[meter.name], self._gateway.samplers[meter.device]
        because = state.silent_because or sampler.doubted_because
        how = "silent" if state.silent_because else "doubtful" if because else "ok" if state.last_s else "starting"
        return {
            "device": meter.device.hex(),
            "state": how,
            "silent_because": state.silent_because,
            "doubted_because": sampler.doubted_because,
            "meaning": meaning_of(because) if because else None,
            "last_s": state.last_s,
            "taken": state.taken,
            "missed": state.missed,
            "backoff_s": state.backoff_s,
            "failures": dict(state.failures),
            "doubts": dict(sampler.doubts),
        }

    def _show(self, state: dict[str, Any]) -> None:
        self._write(state)
        for see in self._watchers:
            see(state)

    def _write(self, state: dict[str, Any]) -> None:
        path = self._settings.status_file
        try:
            status.write(path, state)
        except OSError as error:
            # A disk that cannot take a kilobyte will not take the next commit either.
            raise StorageError(
                str(error), where=path, to_do=_("make room on the disk, or check its rights")
            ) from error

    def _publish(self, payload: bytes) -> None:
        self._gateway.upstream.publish(state_topic(self._settings), payload, retain=True)
