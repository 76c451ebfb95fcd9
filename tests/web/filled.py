"""What stands in the addresses of pages for the parts in braces, so that tests can open every page there is.

A room that has a page with a part in its address adds how it is filled: a text, or a function of the living town that
makes what the page shows and gives its name. The same name is the same everywhere.
"""

from collections.abc import Callable, Mapping
from datetime import date

from aggregator.enrolment.judge import Label
from aggregator.enrolment.store import enrolling
from aggregator.testing import GENESIS, TIME_S, ident, key
from commonwatt import device_label
from ledger.book.body import Transfer
from ledger.book.entry import Entry
from ledger.sequencer import Placed
from tests.web.conftest import NOON_S, Site
from tests.web.office import a_held_span, a_newcomer, a_trial
from tests.web.people import earn
from web.accounting import drawer
from web.accounting.pages import AccountingPages
from web.money.people import People
from web.pay import codes

PAYMENT = ident("a payment")


def closed(living: Site) -> str:
    """The number of a ticket of the baker's; the first time it is made."""
    parts, baker = living.parts, ident("baker")
    with parts.store.transaction() as connection:
        found = drawer.last(connection, baker)
    rooms = AccountingPages(
        parts.store, parts.books, parts.tally, parts.looks, parts.facts, People(living.parts.names)
    )
    day = date.fromordinal(parts.tally.days_of.day(NOON_S))
    return str((found[0] if found is not None else rooms.close_day(baker, day, NOON_S)).number)


def a_code(living: Site) -> str:
    """By which home00 asks to be paid."""
    now_s = int(living.parts.wall.now_s())
    with living.parts.store.transaction() as connection:
        account, lasts = ident("home00"), codes.Lasts.DAY
        made = codes.make(connection, account=account, amount_mc=1500, memo="eggs", lasts=lasts, now_s=now_s)
    return made.text


def a_payment(living: Site) -> str:
    """Of the baker to home00."""
    with living.parts.books.now() as book:
        is_there = book.index.place_of(PAYMENT) is not None
    if not is_there:
        earn(living, baker=5_000)
        paid = Entry(PAYMENT, TIME_S, Transfer(ident("baker"), ident("home00"), 1500, "eggs"))
        (answer,) = living.parts.books.submit(paid.sign(key("baker"), GENESIS))
        assert isinstance(answer, Placed), answer
    return PAYMENT.hex()


def a_place(living: Site) -> str:
    """Where the payment of the baker to home00 stands in the log."""
    a_payment(living)
    with living.parts.books.now() as book:
        return str(book.index.place_of(PAYMENT))


def _label(living: Site) -> str:
    """Of a plug that the commune has just given away."""
    device, code = ident("a plug"), "4RT69KQ2XM"
    sha256 = bytes.fromhex(device_label.claim_hash(device, code))
    terms = {"expires_s": 2**40, "role": "submeter", "rated_power_w": 3680, "grade": "device"}
    with enrolling(living.directory / "private.db") as store:
        store.expect([Label(device, key("a plug").public_key, sha256, **terms)])  # type: ignore[arg-type]
    return device_label.content(device, code)


FILLED: Mapping[str, str | Callable[[Site], str]] = {
    "{month}": "2024-07",
    "{token}": "nobody",
    "{draft}": "00" * 16,
    "{span}": "day",
    "{date}": "2024-07-15",
    "{person}": ident("home05").hex(),
    "{newcomer}": a_newcomer,
    "{hold}": a_held_span,
    "{stopped}": "00" * 16,
    "{code}": a_code,
    "{payee}": f"{ident('home01').hex()}?n={'5a' * 16}",
    "{payment}": a_payment,
    "{place}": a_place,
    "{request}": "00" * 16,
    "{label}": _label,
    "{device}": "00" * 16,
    "{entry}": "00" * 16,
    "{ticket}": closed,
    "{voucher}": "1",
    "{sheet}": "00" * 16,
    "{holder}": ident("home01").hex(),
    "{year}": "2024",
    "{meter}": ident("home05-main").hex(),
    "{claim}": "00" * 16,
    "{version}": "1",
    "{trial}": a_trial,
    "{declaration}": "00000000",
    "{correction}": "00000000",
    "{file}": "photo.jpg",
    "{account}": "00" * 16,
}


def fill(path: str, living: Site) -> str:
    """An address without braces."""
    for name, value in FILLED.items():
        if name in path:
            path = path.replace(name, value if isinstance(value, str) else value(living))
    assert "{" not in path, f"tests/web/filled.py does not know what stands in {path}"
    return path
