"""What a thousand meters in the network cost: pymodbus servers in another process, polled, kept and signed here.

`python -m gateway.bench_meters COUNT` is that other process: it prints its ports and serves until its input ends.
"""

import asyncio
import json
import logging
import resource
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from commonwatt.clock import CivilClock, MonotonicClock
from commonwatt.identity import SigningKey
from gateway.database import Database
from gateway.meters import tables
from gateway.meters.chains import ChainStore
from gateway.meters.meter import Meter, limits_of
from gateway.meters.polling import Poller, PollRules
from gateway.meters.sampler import Sampler
from gateway.settings import BusSettings
from gateway.spool import Spool

METERS = 1000
STEP_S = 10
STEPS = 3
"""Steps that are measured, after one in which the connections are made."""
TICK_S = 0.05
QUIET = 0.7
"""From this part of a step on everything has long been read."""
BLOCK_READINGS = 4
TABLE = tables.find("schneider-iem3155")
ADDRESS, COUNT = 0x0C83, 8
"""Import and export of the table, in one request."""


def measure_modbus_cpu(meters: int = METERS, *, step_s: int = STEP_S, steps: int = STEPS) -> tuple[float, float]:
    """Percent of one core for polling all meters once a step, and for bare sockets that exchange the same bytes.

    Every reading ends in a signed block in the spool. AssertionError if a poll was missed.
    """
    _allow_files(2 * meters + 100)
    with _served(meters) as ports:
        return _polling_percent(ports, step_s, steps), _bare_percent(ports, step_s, steps)


def _polling_percent(ports: list[int], step_s: int, steps: int) -> float:
    fleet = [_meter(number, port) for number, port in enumerate(ports)]
    rules = PollRules(step_s=step_s, late_s_max=step_s, backoff_s_min=2.0, backoff_s_max=300.0)
    civil = CivilClock()
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder) / "spool.db") as database:
        samplers = {meter.device: _sampler(meter, database, step_s) for meter in fleet}
        spool = Spool(database)
        with Poller(fleet=fleet, rules=rules, civil=civil, protocol=MonotonicClock()) as poller:

            def tick() -> None:
                time.sleep(TICK_S)
                with database.transaction():
                    blocks = []
                    while not poller.readings.empty():
                        reading = poller.readings.get_nowait()
                        blocks += samplers[reading.device].take(reading)
                    spool.add(blocks, 0)

            # The first step makes the connections. What is measured begins and ends in the quiet part of a step.
            while (
                any(state.taken == 0 for state in poller.states.values()) or civil.now_s() % step_s < QUIET * step_s
            ):
                tick()
            failed = {name: state.failures.total() for name, state in poller.states.items()}
            started_s, used_s = time.perf_counter(), time.process_time()
            while time.perf_counter() - started_s < steps * step_s:
                tick()
            percent = 100 * (time.process_time() - used_s) / (steps * step_s)
            step_start_s = int(civil.now_s() // step_s) * step_s
            for name, state in poller.states.items():
                assert (state.last_s, state.missed) == (step_start_s, 0), f"{name} missed a poll: {state}"
                assert state.failures.total() == failed[name], f"{name}: {dict(state.failures)}"
        assert spool.count >= len(fleet) * (steps // BLOCK_READINGS)
    return percent


def _bare_percent(ports: list[int], step_s: int, steps: int) -> float:
    """The same questions and answers over plain sockets, all asked at once: nothing is looked at but its length."""
    question = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, ADDRESS, COUNT)
    answer_size = 9 + 2 * COUNT
    sockets = [socket.create_connection(("127.0.0.1", port)) for port in ports]
    poll = select.epoll()
    by_handle = {own.fileno(): own for own in sockets}
    for own in sockets:
        poll.register(own, select.EPOLLIN)
    used_s = time.process_time()
    for _ in range(steps):
        for own in sockets:
            own.sendall(question)
        missing = dict.fromkeys(by_handle, answer_size)
        while missing:
            for handle, _event in poll.poll():
                missing[handle] -= len(by_handle[handle].recv(4096))
                if missing[handle] == 0:
                    del missing[handle]
    percent = 100 * (time.process_time() - used_s) / (steps * step_s)
    poll.close()
    for own in sockets:
        own.close()
    return percent


def _meter(number: int, port: int) -> Meter:
    bus = BusSettings(name=f"bus {number}", kind="modbus-tcp", host="127.0.0.1", port=port)
    return Meter(f"meter {number}", number.to_bytes(16, "big"), bus, 1, TABLE, limits_of(TABLE))


def _sampler(meter: Meter, database: Database, step_s: int) -> Sampler:
    return Sampler(
        device=meter.device,
        key=SigningKey.generate(),
        store=ChainStore(database),
        step_s=step_s,
        block_readings=BLOCK_READINGS,
        limits=meter.limits,
    )


@contextmanager
def _served(count: int) -> Iterator[list[int]]:
    """The ports of that many pymodbus servers in another process."""
    argv = [sys.executable, "-m", "gateway.bench_meters", str(count)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


async def _serve(count: int) -> None:
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
    servers = []
    for _ in range(count):
        data = SimData(ADDRESS, values=[12_345_678, 8_765_432], datatype=DataType.INT64)
        servers.append(ModbusTcpServer(SimDevice(1, simdata=[data]), address=("127.0.0.1", 0)))
        await servers[-1].serve_forever(background=True)
    listening = [cast(asyncio.Server, server.transport) for server in servers]
    sys.stdout.write(json.dumps([own.sockets[0].getsockname()[1] for own in listening]) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus leaves it untyped


def _allow_files(count: int) -> None:
    """Connections are files; the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


if __name__ == "__main__":
    _allow_files(2 * int(sys.argv[1]) + 100)
    asyncio.run(_serve(int(sys.argv[1])))
