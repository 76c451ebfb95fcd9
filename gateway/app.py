"""Wires the gateway: devices → inbox → spool → uplink, meters → sampler → spool, and what flows back."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from commonwatt.clock import CivilClock, MonotonicClock, Protocolar
from commonwatt.identity import load_or_make_key
from commonwatt.mqtt import Message, MqttLink
from commonwatt.service import Stop, run_until
from gateway.age import AgeClock
from gateway.database import Database
from gateway.devices.asking import AskingDesk
from gateway.devices.claims import ClaimDesk
from gateway.devices.commands import CommandDesk, Commander
from gateway.devices.desks import SUBSCRIPTIONS, Desks
from gateway.devices.inbox import Inbox
from gateway.devices.shelf import Publisher, Shelf
from gateway.devices.shelf_http import Depot
from gateway.devices.time_answers import TimeDesk
from gateway.kernel_clock import ClockMemory, ClockTrust, always, kernel_is_synchronised
from gateway.meters.chains import ChainStore
from gateway.meters.meter import fleet
from gateway.meters.polling import Poller
from gateway.observe import homeassistant
from gateway.observe import http as observe_http
from gateway.observe.homeassistant import HomeAssistant
from gateway.observe.systemd import Supervisor
from gateway.reload import Reloader, poll_rules, sampler_plans, samplers
from gateway.service import Gateway, SpoolLimits
from gateway.settings import GatewaySettings, read_settings
from gateway.spool import Spool
from gateway.state import DOWN, Reporter, state_topic
from gateway.upstream.batching import BatchLimits
from gateway.upstream.trusted import Aggregator
from gateway.upstream.uplink import Uplink, UplinkRules

log = logging.getLogger(__name__)


@contextmanager
def opened(
    settings: GatewaySettings, *, civil: CivilClock, protocol: Protocolar, clock_is_told: bool
) -> Iterator[tuple[Gateway, Reporter]]:
    """The gateway of these settings with everything it owns open; StorageError if the spool cannot be."""
    meters = fleet(settings)
    with ExitStack() as stack:
        database = stack.enter_context(Database(settings.spool_file))
        spool = Spool(database)
        uplink = _uplink(settings, spool, civil, protocol)
        memory = ClockMemory(database)
        is_told = clock_is_told or settings.sign_unsynchronised
        trust = ClockTrust(
            is_synchronised=always if is_told else kernel_is_synchronised,
            holdover_s=settings.clock_holdover_s,
            protocol=protocol,
            last=memory.recall(),
        )

        def may_sign() -> bool:
            may = trust.may_sign()
            if not is_told:
                memory.keep(trust.last)
            return may

        poller = Poller(
            fleet=meters, rules=poll_rules(settings), civil=civil, protocol=protocol, may_sign=trust.may_sign
        )
        desks = _desks(settings, database, civil)
        local, upstream = _links(settings, desks.subscriptions(uplink.subscriptions()))
        gateway = Gateway(
            database=database,
            spool=spool,
            inbox=Inbox(),
            age=AgeClock(database=database, civil=civil, protocol=protocol, civil_per_s=civil.factor),
            desks=desks,
            uplink=uplink,
            samplers=samplers(sampler_plans(settings, meters), ChainStore(database)),
            poller=poller,
            local=local,
            upstream=upstream,
            civil=civil,
            limits=SpoolLimits(settings.spool_mib_max * 1024 * 1024, settings.spool_days_max * 86_400),
            may_sign=may_sign,
        )
        depot = stack.enter_context(_depot(settings)) if settings.updates else None
        watchers: list[Callable[[dict[str, Any]], None]] = []
        if settings.observe:
            watch = observe_http.watch(host=settings.observe.host, port=settings.observe.port, protocol=protocol)
            watchers.append(stack.enter_context(watch).see)
        if settings.home_assistant:
            teller = HomeAssistant(own_id=settings.id, gateway=gateway, database=database, step_s=settings.step_s)
            watchers.append(teller.see)
        reporter = Reporter(
            settings=settings, gateway=gateway, depot=depot, watchers=watchers, civil=civil, protocol=protocol
        )
        for part in (local, upstream, poller):
            stack.enter_context(part)
        yield gateway, reporter


def run(settings_file: Path, *, civil: CivilClock, clock_is_told: bool = False) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP reads the settings again. `clock_is_told`: somebody answers for `civil`."""
    settings = read_settings(settings_file)
    stop = Stop().on_signals()
    protocol = MonotonicClock()
    supervisor = Supervisor(environment=os.environ, protocol=protocol)
    with opened(settings, civil=civil, protocol=protocol, clock_is_told=clock_is_told) as (gateway, reporter):
        log.info("gateway %s of %s is up, %d meters", settings.id.hex(), settings.commune, len(settings.meters))

        reloader = Reloader(settings=settings, settings_file=settings_file, gateway=gateway).on_signal()
        reporter.reloader = reloader

        def tick() -> None:
            gateway.tick()
            reloader.tick()
            reporter.tick()
            supervisor.progress(reporter.sentence())

        run_until(stop, tick)
        supervisor.stopping()
        reporter.say_down()
        log.info("asked to end: stopped")


def _uplink(settings: GatewaySettings, spool: Spool, civil: CivilClock, protocol: Protocolar) -> Uplink:
    limits = BatchLimits(settings.batch_blocks_max, settings.batch_bytes_max, settings.batch_age_s)
    return Uplink(
        commune=settings.commune,
        gateway=settings.id,
        key=load_or_make_key(settings.key_file),
        aggregator=Aggregator(settings.aggregator_public_key, settings.genesis_sha256),
        spool=spool,
        rules=UplinkRules(limits=limits, in_flight_max=settings.in_flight_max, resend_s=settings.resend_s),
        civil=civil,
        protocol=protocol,
    )


def _desks(settings: GatewaySettings, database: Database, civil: CivilClock) -> Desks:
    commander = Commander(settings.command_public_key, settings.genesis_sha256)
    commune, gateway = settings.commune, settings.id
    aggregator = Aggregator(settings.aggregator_public_key, settings.genesis_sha256)
    return Desks(
        time=TimeDesk(key=load_or_make_key(settings.key_file), civil=civil),
        commands=CommandDesk(database=database, commander=commander, commune=commune, gateway=gateway),
        claims=ClaimDesk(database=database, commune=commune, gateway=gateway),
        asking=AskingDesk(database=database, aggregator=aggregator, commune=commune, gateway=gateway),
    )


def _depot(settings: GatewaySettings) -> Depot:
    updates = settings.updates
    assert updates is not None, "asked for only where there are some"
    publisher = Publisher(updates.public_key, settings.genesis_sha256)
    shelf = Shelf(updates.directory, publisher, updates.boards)
    return Depot(shelf, url=updates.url, host=updates.host, port=updates.port, every_s=updates.every_s)


def _links(settings: GatewaySettings, upstream_subscriptions: list[str]) -> tuple[MqttLink, MqttLink]:
    """Two connections even to one broker: the devices' traffic cannot crowd out a receipt."""
    name = settings.id.hex()
    local = MqttLink(
        settings.local.broker_account(),
        client_id=f"{name}-local",
        subscriptions=SUBSCRIPTIONS,
        will=homeassistant.will(settings.id) if settings.home_assistant else None,
        reconnect_s_max=settings.reconnect_s_max,
    )
    upstream = MqttLink(
        settings.upstream_account.broker_account(),
        client_id=f"{name}-up",
        subscriptions=upstream_subscriptions,
        will=Message(state_topic(settings), DOWN),
        reconnect_s_max=settings.reconnect_s_max,
    )
    return local, upstream
