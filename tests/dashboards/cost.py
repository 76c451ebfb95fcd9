"""What telemetry costs the loop: 36 hours of the village, closed and minted without telemetry, with a database that
refuses, and with one that never answers. Run by hand: python -m tests.dashboards.cost
"""

import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from aggregator.settings import database_url
from aggregator.telemetry.samples import Seen
from aggregator.telemetry.service import Telemetry
from commonwatt.demo.programs import free_port
from commonwatt.testing import ManualClock
from tests.dashboards import village

HOURS = 36


def live(folder: Path, url: str | None) -> tuple[float, float, float, int]:
    """Seconds of the loop's own CPU, of wall time, the longest that showing how things stand took; windows minted."""
    town, clock = village.found(folder), ManualClock()
    with ExitStack() as stack:
        see: Callable[[Seen], object] = id  # nobody is shown anything
        if url is not None:
            told = town.settings.model_copy(update={"url": url, "timeout_s": 1.0})
            service = Telemetry(
                told,
                directory=folder,
                database_url=database_url(folder),
                slug="demo",
                civil=clock,
                protocol=clock,
            )
            see = stack.enter_context(service).see
        showing_s: list[float] = []

        def timed(seen: Seen) -> None:
            started_s = time.perf_counter()
            see(seen)
            showing_s.append(time.perf_counter() - started_s)

        life = village.lives(town, stack, timed)
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        for start_s in range(village.START_S, village.START_S + HOURS * village.HOUR_S, village.STEP_S):
            life.step(start_s)
        minted = int(life.seen().report["windows_minted"])
        return time.thread_time() - cpu_s, time.perf_counter() - wall_s, median(showing_s), minted


def main() -> None:
    """Print a line for each."""
    with socket.create_server(("127.0.0.1", 0)) as silent, tempfile.TemporaryDirectory() as folder:
        urls = {
            "without telemetry": None,
            "a database that refuses": f"http://127.0.0.1:{free_port()}",
            "one that never answers": f"http://127.0.0.1:{silent.getsockname()[1]}",
        }
        for number, (name, url) in enumerate(urls.items()):
            cpu_s, wall_s, showing_s, minted = live(Path(folder) / str(number), url)
            shown = f"{cpu_s:.2f} s CPU of the loop, {wall_s:.2f} s in all, showing {showing_s * 1e6:.1f} µs"
            sys.stdout.write(f"{name:24} {shown}, windows minted: {minted}\n")


if __name__ == "__main__":
    main()
