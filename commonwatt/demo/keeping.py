"""KEEP=1: the demo stays when its books are judged, to be looked at in a browser, until it is told to end.

The aggregator starts once more, with the pages beside its books. Civil time goes on from where it stood, now at the
pace of the wall: what was measured is yesterday, and what somebody pays in a browser is carried out. The meters rest:
the measured days are over. TLS=1 makes a local CA, so that phones in the same network may come.
"""

import io
import json
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import segno
from rich.console import Console

from commonwatt import addresses
from commonwatt.clock import CivilClock
from commonwatt.demo import handing_over
from commonwatt.demo.brokers import AGGREGATOR
from commonwatt.demo.cast import UP_S_MAX, Cast, aggregator_words
from commonwatt.demo.finale import from_here
from commonwatt.demo.founding import COMMONWATT, Commune
from commonwatt.demo.handing_over import HandOver, Visit
from commonwatt.demo.plan import Plan
from commonwatt.demo.programs import Program, answers, free_port, run, wait_for
from commonwatt.errors import CommonwattError
from commonwatt.i18n import _

PAGES_PORT, PHONE_PORT = 8680, 8681
"""Where everybody expects them; others if these are taken."""
EVERYWHERE, HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104 - TLS=1 says so: phones shall come
LOOK_S = 1.0
"""How often we see whether everybody is still there."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pages are. With TLS `phones` is where a phone gets the local CA, and `fingerprint` is the CA's."""

    listen: str
    port: int
    url: str
    phones: str = ""
    fingerprint: str = ""


def keep(plan: Plan, commune: Commune, cast: Cast, console: Console, clock: CivilClock) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; 0 then. ProgramEndedError if somebody ended by himself.

    `clock`: civil time from now on.
    """
    with _told_to_end() as ends:
        try:
            _stay(plan, commune, cast, console, clock, ends)
        except CommonwattError:
            if not ends.is_set():  # Ctrl-C in a terminal reaches everybody at once, and whoever is first is no error
                raise
    console.print(_("The demo has ended; nobody is left behind."))
    return 0


def _stay(
    plan: Plan, commune: Commune, cast: Cast, console: Console, clock: CivilClock, ends: threading.Event
) -> None:
    place = _prepare(plan, commune)
    with _up(commune, cast, clock, place, ends) as programs:
        visits = handing_over.invite(commune, place.url, clock)
        console.print(_invitation(plan, clock, place, visits), soft_wrap=True, highlight=False, markup=False)
        hand_over = HandOver(commune)
        while not ends.wait(LOOK_S):
            for program in programs:
                program.check()
            hand_over.step()


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """An event that the signals set by which people end programs, closing the terminal included."""
    ends = threading.Event()
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before = [signal.signal(number, lambda *_ignored: ends.set()) for number in numbers]
    try:
        yield ends
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _prepare(plan: Plan, commune: Commune) -> Place:
    """web.toml, and with TLS a CA that outlives this demo: a phone need not learn a new one each time."""
    layout, lines = commune.layout, ['zone = "UTC"  # the measured days are days of UTC']
    port = free_port_near(PAGES_PORT)
    if not plan.tls:
        place = Place(HERE, port, f"http://localhost:{port}/")
    else:
        here = addresses.of_this_machine() or [HERE]
        folder, phone_port = layout.local_ca, free_port_near(PHONE_PORT)
        hosts = [word for host in (*here, *addresses.names()) for word in ("--host", host)]
        said = run([COMMONWATT, "web", "ca", str(folder), *hosts], log_file=layout.logs / "keeping.log")
        lines += [f"local_ca = {json.dumps(str(folder))}", f"phone_port = {phone_port}"]
        (fingerprint,) = (line for line in said.splitlines() if "SHA-256" in line)
        place = Place(EVERYWHERE, port, f"https://{here[0]}:{port}/", f"http://{here[0]}:{phone_port}/", fingerprint)
    layout.web_toml.write_text("\n".join(lines) + "\n")
    return place


def free_port_near(wanted: int) -> int:
    """The port that people expect, or another one if somebody has it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((EVERYWHERE, wanted))
        except OSError:
            return free_port()
        return wanted


@contextmanager
def _up(
    commune: Commune, cast: Cast, clock: CivilClock, place: Place, ends: threading.Event
) -> Iterator[list[Program]]:
    """The town's broker, the relay of an old InfluxDB, and the aggregator with the pages; all are gone afterwards."""
    layout, programs = commune.layout, list[Program]()
    words = (*aggregator_words(commune, clock), "--pages", f"{place.listen}:{place.port}")
    with ExitStack() as stack:

        def start(program: Program) -> None:
            program.start()
            stack.callback(program.stop)
            programs.append(program)

        def await_answer(address: tuple[str, int], what: str) -> None:
            wait_for(lambda: ends.is_set() or answers(*address), what=what, timeout_s=UP_S_MAX, programs=programs)

        for program in cast.around_the_books():
            start(program)
        await_answer(commune.brokers.town.address, commune.brokers.town.url)
        start(Program(AGGREGATOR, words, layout.logs / f"{AGGREGATOR}.log"))
        await_answer((HERE, place.port), place.url)
        yield programs


def _invitation(plan: Plan, clock: CivilClock, place: Place, visits: Sequence[Visit]) -> str:
    """What to open, and what is to be seen there."""
    now = datetime.fromtimestamp(clock.now_s(), UTC)
    yesterday = datetime.fromtimestamp(plan.ends_s - 1, UTC)
    parts = [
        _("\nThe commune stays and can be looked at in a browser:\n\n  {url}\n").format(url=place.url),
        _("There it is {now} (UTC), at the pace of your watch; the last measured day is {day}.").format(
            now=f"{now:%Y-%m-%d %H:%M}", day=f"{yesterday:%Y-%m-%d}"
        ),
    ]
    if place.phones:
        parts.append(
            _(
                "A phone in the same network comes to trust it at {phones}: point its camera here.\n\n{code}\n"
                "The page shows what to touch, and a fingerprint. It must be this one:\n  {fingerprint}\n"
                "A firewall on this machine must let both ports through; without a network, nobody else comes."
            ).format(phones=place.phones, code=qr(place.phones), fingerprint=place.fingerprint)
        )
    parts.append(_("\nCome in as somebody. A link works once; the browser that followed it may come back by it:"))
    for visit in visits:
        parts.append(f"\n  {visit.who}: {visit.to_try}\n  {visit.link}")
        if place.phones and visit.is_for_phones:
            parts.append(qr(visit.link))
    parts += [
        "",
        _("A browser is one person: open the next link in a private window, in another browser, or on a phone."),
        _("End it with Ctrl-C; what lies in {root} stays.").format(root=from_here(plan.directory)),
    ]
    return "\n".join(parts)


def qr(text: str) -> str:
    """A QR code in half blocks, as wide as a terminal's character for each module."""
    drawn = io.StringIO()
    segno.make_qr(text, error="l").terminal(drawn, compact=True, border=2)
    return drawn.getvalue()
