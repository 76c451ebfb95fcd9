"""Wires the pages of one commune into an application; nothing runs until a server calls it."""

import logging
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from commonwatt.clock import CivilClock, Protocolar
from commonwatt.errors import CommonwattError
from commonwatt.i18n import _, speaking
from ledger.http.limits import RateLimit
from web.account.home import Home
from web.account.pages import AccountPages
from web.account.proofs import Prover
from web.account.reader import AccountReader
from web.accounting.pages import AccountingPages
from web.address import Address
from web.association.corrections.pages import CorrectionPages
from web.association.declared.own import own_declaring
from web.association.declared.pages import DeclaredPages
from web.association.desk.pages import DeskPages
from web.association.holds.pages import HoldPages
from web.association.meters.pages import MeterPages
from web.association.office import Office
from web.association.people.pages import PeoplePages
from web.association.policy.pages import PolicyPages
from web.book.books import Books
from web.book.said import Said, together
from web.consent.erase_pages import ErasePages
from web.consent.export import Copies
from web.consent.export_pages import ExportPages
from web.consent.pages import ConsentPages
from web.devices.pages import DevicePages
from web.door import Door, Page
from web.drafts.pages import DraftPages
from web.energy.homes import Homes
from web.energy.pages import EnergyPages
from web.facts import Facts
from web.guard.guard_pages import GuardPages
from web.guard.recover_pages import RecoverPages
from web.identity import wishes
from web.identity.pages import IdentityPages
from web.identity.passkey_pages import PasskeyPages
from web.identity.sign_in_pages import SignInPages
from web.looks import HERE, Looks
from web.mail.postman import Postman
from web.mail.smtp import Smtp
from web.manners import Manners, language_of
from web.me.own import OwnSections
from web.me.pages import MePages
from web.me.sections import Maker
from web.money.exchange import ExchangePages
from web.money.impact import ImpactPages
from web.money.pages import MoneyPages
from web.money.people import People
from web.money.tally_file import KeptTally
from web.names import Names
from web.notices.pages import NoticePages
from web.notices.service import PushService
from web.notices.telling import Telling
from web.notices.waiting import Sending
from web.operator.pages import GridPages
from web.pay import pages as pay
from web.pay import section as pay_section
from web.public.pages import PublicPages
from web.public.town import Pinned, TownReader
from web.settings import WebSettings
from web.statements.pages import StatementPages
from web.store.file import WebStore
from web.vouchers.clerk import ClerkPages
from web.vouchers.pages import VoucherPages

log = logging.getLogger(__name__)

BURST = 60
"""Pages at once from one address."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the rooms are built from. `wall`: civil time; `clock`: protocol time."""

    directory: Path
    facts: Facts
    books: Books
    tally: KeptTally
    store: WebStore
    looks: Looks
    town: TownReader
    names: Names
    homes: Homes
    copies: Copies
    clock: Protocolar
    wall: CivilClock
    address: Address
    postman: Postman
    """Whoever serves the pages lets it work beside them."""
    said: Said
    push: PushService
    grafana_url: str = ""
    database_url: str = ""
    """The aggregator's database, where it is not what the directory's settings say."""

    def close(self) -> None:
        """Give the files back."""
        self.copies.close()
        self.homes.close()
        self.tally.save()
        self.books.close()
        self.store.close()


def assemble(
    directory: Path, read: WebSettings, *, clock: Protocolar, wall: CivilClock, database_url: str = ""
) -> Parts:
    """The parts of a commune's directory. UserError or StorageError if it is none that can be read."""
    facts, pinned, said, zone = Facts.read(directory), Pinned(), Said(), read.zone
    smtp = Smtp.of(read, facts.title)
    tally = KeptTally(directory, zone, facts.genesis)
    books = Books(directory, look=together((pinned, said)), watch=tally)
    town = TownReader(
        *(directory, facts, books, pinned), zone=zone, clock=clock, wall=wall, database_url=database_url
    )
    store = WebStore(directory)
    postman = Postman(store, smtp, clock=wall)
    if smtp is not None:
        postman.add(wishes.Granting(store, public_url=read.public_url, title=facts.title))
    looks, address = Looks(zone, facts), Address(read.public_url)
    names = Names(directory)
    homes = Homes(directory, books, names, said, zone=zone, clock=clock, database_url=database_url)
    copies = Copies(directory, books, store, names, homes, looks, database_url=database_url)
    push = PushService(directory, hosts=read.push_hosts, contact=_contact(read, facts))
    account = AccountReader(directory, database_url, books, names, zone)
    url = read.public_url if smtp is not None else ""
    postman.add(Telling(store, books, Home(account, books), looks, names, facts.title, url))
    postman.add(Sending(store, push))
    return Parts(
        directory=directory,
        facts=facts,
        books=books,
        tally=tally,
        store=store,
        looks=looks,
        town=town,
        names=names,
        homes=homes,
        copies=copies,
        clock=clock,
        wall=wall,
        address=address,
        postman=postman,
        said=said,
        push=push,
        grafana_url=read.grafana_url,
        database_url=database_url,
    )


def _contact(read: WebSettings, facts: Facts) -> str:
    """Whom a push service writes to when something is wrong with what we send."""
    if read.mail_from:
        return f"mailto:{read.mail_from}"
    return read.public_url if read.public_url.startswith("https://") else f"https://{facts.origin.partition('/')[0]}"


def pages(parts: Parts) -> list[Page]:
    """Every page of every room, with who may see it."""
    common = (parts.store, parts.books, parts.looks, parts.facts)
    notices = NoticePages(parts.store, parts.looks, parts.push, parts.postman)
    guard_pages = GuardPages(*common, address=parts.address)
    passkey_pages = PasskeyPages(parts.store, parts.books, parts.facts, address=parts.address)
    return [
        *PublicPages(parts.town, parts.looks).pages(),
        *_money(parts),
        *pay.pages(parts.store, parts.books, parts.looks, parts.facts, parts.names, address=parts.address),
        *IdentityPages(parts.store, parts.books, parts.looks, parts.facts).pages(),
        *_sign_in(parts).pages(),
        *passkey_pages.pages(),
        *guard_pages.pages(),
        *RecoverPages(*common, address=parts.address, postman=parts.postman).pages(),
        *notices.pages(),
        *_me(
            parts,
            pay_section.section,
            guard_pages.section,
            passkey_pages.section,
            notices.section,
            _consent(parts).section,
        ).pages(),
        *DraftPages(parts.store, parts.books, parts.facts).pages(),
        *_account(parts).pages(),
        *EnergyPages(parts.directory, parts.homes, parts.looks).pages(),
        *_of_association(parts),
        *_devices(parts).pages(),
        *_consent(parts).pages(),
        *ExportPages(parts.copies, parts.looks).pages(),
        *ErasePages(
            *(parts.directory, parts.store, parts.books, parts.looks, parts.facts, parts.names),
            database_url=parts.database_url,
        ).pages(),
    ]


def _devices(parts: Parts) -> DevicePages:
    common = (parts.directory, parts.books, parts.names, parts.homes, parts.looks)
    return DevicePages(*common, database_url=parts.database_url)


def _consent(parts: Parts) -> ConsentPages:
    return ConsentPages(parts.names, parts.looks, parts.homes.zone)


def _sign_in(parts: Parts) -> SignInPages:
    common = (parts.store, parts.books, parts.looks, parts.facts)
    return SignInPages(*common, address=parts.address, postman=parts.postman, clock=parts.clock)


def _me(parts: Parts, *sections: Maker) -> MePages:
    """`sections`: that rooms bring (web/me/sections.py); they stand first."""
    own = OwnSections(parts.store, parts.postman)
    return MePages(
        *(parts.store, parts.books, parts.looks, parts.facts),
        address=parts.address,
        postman=parts.postman,
        sections=[*sections, own_declaring, own.email, own.browsers, own.language],
    )


def office_of(parts: Parts) -> Office:
    """What the association's rooms are given."""
    common = (parts.directory, parts.facts, parts.books, parts.said, parts.names, parts.store, parts.looks)
    return Office(*common, parts.address, parts.postman, parts.database_url)


def _of_association(parts: Parts) -> list[Page]:
    office = office_of(parts)
    rooms = (DeskPages, PeoplePages, MeterPages, HoldPages, CorrectionPages, DeclaredPages, PolicyPages)
    grid = GridPages(office, parts.wall, parts.grafana_url)
    return [*(page for room in rooms for page in room(office).pages()), *grid.pages()]


def _money(parts: Parts) -> list[Page]:
    people, store, books, tally, looks = People(parts.names), parts.store, parts.books, parts.tally, parts.looks
    return [
        *AccountingPages(store, books, tally, looks, parts.facts, people).pages(),
        *ExchangePages(store, books, tally, looks, parts.facts, people).pages(),
        *MoneyPages(books, tally, looks, people, clock=parts.clock).pages(),
        *ImpactPages(
            parts.directory, looks, zone=looks.zone, clock=parts.clock, database_url=parts.database_url
        ).pages(),
        *StatementPages(store, books, tally, looks, people, address=parts.address).pages(),
        *VoucherPages(store, books, looks, parts.facts).pages(),
        *ClerkPages(store, books, tally, looks, parts.facts, people, address=parts.address).pages(),
    ]


def _account(parts: Parts) -> AccountPages:
    where = (parts.directory, parts.database_url, parts.books)
    reader = AccountReader(*where, parts.names, parts.looks.zone)
    return AccountPages(reader, Prover(*where), parts.books, parts.looks, parts.town)


def _shape(request: Request) -> str:
    """The address without what stands for somebody in it: one-use links, ids, codes."""
    named = request.scope.get("path_params", {}).items()
    path = request.url.path
    for name, value in named:
        path = path.replace(str(value), f"{{{name}}}")
    return path


def build(
    directory: Path, read: WebSettings, *, clock: Protocolar, wall: CivilClock, database_url: str = ""
) -> Starlette:
    """The application of a commune's directory. UserError or StorageError if it is none that can be read.

    `database_url`: the aggregator's database, where it is not what the directory's settings say.
    """
    parts = assemble(directory, read, clock=clock, wall=wall, database_url=database_url)
    door = Door(store=parts.store, books=parts.books, looks=parts.looks, clock=wall)
    limit = RateLimit(burst=BURST, per_s=read.requests_per_s, clock=clock)

    def missing(request: Request, error: Exception) -> Response:
        """What is not there, or not to be asked for that way."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        if "application/json" in request.headers.get("accept", ""):
            with speaking(language_of(request)):
                return JSONResponse({"error": _("That cannot be done."), "to_do": _("Load the page again.")}, status)
        page = parts.looks.page(
            "missing.html", language_of(request), lambda _words: {"status": status}, request.url.path
        )
        return HTMLResponse(page, status, {"Vary": "Accept-Language, Cookie"})

    def unreadable(request: Request, error: Exception) -> Response:
        """What fails here is no reader's mistake: it is logged, and told without details."""
        is_ours = not isinstance(error, CommonwattError)
        log.error("%s: %s", _shape(request), error, exc_info=error if is_ours else None)
        if "application/json" in request.headers.get("accept", ""):
            with speaking(language_of(request)):
                says = {"error": _("It cannot be done at the moment."), "to_do": _("Try again in a minute.")}
                return JSONResponse(says, 503)
        page = parts.looks.page("unreadable.html", language_of(request), lambda _words: {}, request.url.path)
        return HTMLResponse(page, 503, {"Retry-After": "60"})

    served = pages(parts)
    parts.looks.paths = frozenset(page.path for page in served)
    made = Starlette(
        routes=[
            *(door.route(page) for page in served),
            Mount("/static", StaticFiles(directory=HERE / "static"), name="static"),
        ],
        middleware=[Middleware(Manners, limit=limit), Middleware(GZipMiddleware, minimum_size=500)],
        exception_handlers={HTTPException: missing, CommonwattError: unreadable, Exception: unreadable},
    )
    made.state.parts = parts
    return made
