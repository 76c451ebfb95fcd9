"""SIGHUP: read gateway.toml again and go on with its buses and meters, without a restart and without losing a poll.

A file with a mistake changes nothing: the gateway goes on with what it has and says what is wrong. Whatever is not
about meters is taken at the next start; the status names it until then.
"""

import logging
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from commonwatt.errors import UserError
from commonwatt.i18n import _
from commonwatt.identity import SigningKey, load_or_make_key
from gateway.meters.chains import ChainStore
from gateway.meters.meter import Meter, fleet
from gateway.meters.plausible import Limits
from gateway.meters.polling import PollRules
from gateway.meters.sampler import Sampler
from gateway.service import Gateway
from gateway.settings import GatewaySettings, read_settings

log = logging.getLogger(__name__)

LIVE = {
    "bus", "meters", "meters_dir", "step_s", "late_s_max", "block_readings", "meter_timeout_s",
    "meter_backoff_s_min", "meter_backoff_s_max",
}  # fmt: skip
"""Settings that are taken over while the gateway runs."""


@dataclass(frozen=True, slots=True)
class SamplerPlan:
    """Everything that makes a sampler what it is: while it stays the same, so does the sampler."""

    key_file: Path
    step_s: int
    block_readings: int
    limits: Limits

    def sampler(self, device: bytes, key: SigningKey, store: ChainStore) -> Sampler:
        """The sampler of this plan."""
        return Sampler(
            device=device,
            key=key,
            store=store,
            step_s=self.step_s,
            block_readings=self.block_readings,
            limits=self.limits,
        )


def sampler_plans(settings: GatewaySettings, meters: list[Meter]) -> dict[bytes, SamplerPlan]:
    """The plan of each meter by device."""
    key_files = {meter.device: meter.key_file for meter in settings.meters}
    return {
        meter.device: SamplerPlan(key_files[meter.device], settings.step_s, settings.block_readings, meter.limits)
        for meter in meters
    }


def samplers(plans: Mapping[bytes, SamplerPlan], store: ChainStore) -> dict[bytes, Sampler]:
    """A sampler for each plan; its key is made if there is none yet."""
    return {device: plan.sampler(device, load_or_make_key(plan.key_file), store) for device, plan in plans.items()}


def poll_rules(settings: GatewaySettings) -> PollRules:
    """When meters are read, as the settings have it."""
    return PollRules(
        step_s=settings.step_s,
        late_s_max=settings.late_s_max,
        backoff_s_min=min(settings.meter_backoff_s_min, settings.meter_backoff_s_max),
        backoff_s_max=settings.meter_backoff_s_max,
    )


class Reloader:
    """Reads the settings again when it was asked to. `mistake` and `restart_for` are for the status."""

    def __init__(self, *, settings: GatewaySettings, settings_file: Path, gateway: Gateway) -> None:
        self.mistake: str | None = None
        self.restart_for: list[str] = []
        self.reloads = 0
        self._started_with = self._settings = settings
        self._file = settings_file
        self._gateway = gateway
        self._store = ChainStore(gateway.database)
        self._is_asked = False

    def on_signal(self) -> "Reloader":
        """Listen for SIGHUP."""
        signal.signal(signal.SIGHUP, self._ask)
        return self

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._is_asked = True

    def tick(self) -> None:
        """Reload if it was asked for."""
        if not self._is_asked:
            return
        self._is_asked = False
        try:
            settings = read_settings(self._file)
            meters = fleet(settings)
            plans = sampler_plans(settings, meters)
            for plan in plans.values():
                load_or_make_key(plan.key_file)
        except UserError as error:
            self.mistake = str(error)
            log.error("the settings are kept as they were: %s", error)
            return
        self._take(settings, meters, plans)

    def _take(self, settings: GatewaySettings, meters: list[Meter], plans: dict[bytes, SamplerPlan]) -> None:
        before = sampler_plans(self._settings, list(self._gateway.poller.fleet))
        gone = {device for device, plan in before.items() if plans.get(device) != plan}
        new = {device: plan for device, plan in plans.items() if before.get(device) != plan}
        self._gateway.change_meters(
            meters,
            poll_rules(settings),
            added=samplers({device: plan for device, plan in new.items() if device not in before}, self._store),
            gone=gone,
            again=lambda: samplers({device: plan for device, plan in new.items() if device in before}, self._store),
        )
        self._settings = settings
        self.mistake = None
        self.reloads += 1
        self.restart_for = sorted(
            name
            for name in GatewaySettings.model_fields
            if name not in LIVE and getattr(settings, name) != getattr(self._started_with, name)
        )
        log.info("settings read again: %d meters, %d new, %d gone", len(meters), len(new), len(gone))
        if self.restart_for:
            log.warning(_("restart the gateway to take over: %s"), ", ".join(self.restart_for))
