"""The clerk: members without a phone, whose keys this browser of the association keeps.

Everything that moves their credits is signed here by their own key, with them standing there or by a signature on
paper; what vouchers come to is signed by the association's account.
"""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from commonwatt.errors import FormatError
from commonwatt.i18n import _
from commonwatt.identity import is_valid_public_key, key_hint, new_id
from commonwatt.units import parse_credits
from ledger.book import entry as entries_of
from ledger.book.body import Rotate, Transfer
from ledger.book.entry import Entry, SignedEntry
from ledger.sequencer import Refused
from web import qr
from web.accounting.movements import read
from web.address import Address
from web.book import refusals
from web.book.books import Books
from web.door import Page
from web.drafts import desk
from web.drafts.signing import check_approval, read_entry, to_sign
from web.facts import Facts
from web.looks import Looks
from web.money.days import month_of
from web.money.people import People
from web.money.tally import Tally
from web.roles import Role, key_of
from web.spelling import unbase64
from web.store.file import WebStore
from web.visitor import Ask, Sorry
from web.vouchers import drawer, paper
from web.vouchers.drawer import Standing
from web.vouchers.paper import Voucher

CLERKS = frozenset((Role.STEWARD,))
ENTRY_CHARS_MAX = 90_000
FOUND_MAX = 20
LAST = 10
"""Movements that are shown to who stands there."""


class ClerkPages:
    """Routes of this room."""

    def __init__(
        self,
        store: WebStore,
        books: Books,
        tally: Tally,
        looks: Looks,
        facts: Facts,
        people: People,
        *,
        address: Address,
    ) -> None:
        self._store, self._books, self._tally, self._looks = store, books, tally, looks
        self._facts, self._people, self._address = facts, people, address

    def pages(self) -> list[Page]:
        """Every address."""
        return [
            Page("clerk", "/clerk", CLERKS, get=self.clerk),
            Page("clerk-settle", "/clerk/settle", CLERKS, post=self.settle),
            Page("clerk-sheet", "/clerk/sheets/{sheet}", CLERKS, post=self.print),
            Page("clerk-cancel", "/clerk/sheets/{sheet}/cancel", CLERKS, post=self.cancel),
            Page("clerk-member", "/clerk/{holder}", CLERKS, get=self.member),
            Page("clerk-keep", "/clerk/{holder}/keep", CLERKS, post=self.keep),
            Page("clerk-pay", "/clerk/{holder}/pay", CLERKS, post=self.pay),
            Page("clerk-vouchers", "/clerk/{holder}/vouchers", CLERKS, post=self.vouchers),
        ]

    def clerk(self, ask: Ask) -> Response:
        """Find somebody; and what shops have taken."""
        words = ask.request.query_params.get("q", "").strip()[:80]
        found = self._people.search(words, limit=FOUND_MAX) if words else []
        waiting = self._waiting()
        values = {
            "q": words,
            "found": found,
            "waiting": [(row, self._people.of(row.payee or b"")) for row in waiting],
            "sum_mc": sum(row.amount_mc for row in waiting),
            "association": self._association().hex(),
        }
        return self._looks.answer(ask, "clerk.html", lambda _words: values)

    def member(self, ask: Ask) -> Response:
        """Their balance, their vouchers, and what can be done for them."""
        holder = self._holder(ask)
        with self._store.transaction() as connection:
            vouchers = drawer.of_member(connection, holder)
            drafts = [row for row in desk.waiting(connection) if row.about == holder]
        with self._books.now() as book:
            standings = [(row, drawer.standing(book, row)) for row in vouchers]
            free_mc, end = book.state.book.free_mc(holder), book.size
            months = sorted(self._tally.months, reverse=True)
        moved = read(self._books, self._tally, holder, first=0, end=end)[: -LAST - 1 : -1]
        values = {
            "holder": holder.hex(),
            "name_of": self._name(holder),
            "is_association": holder == self._association(),
            "free_mc": free_mc,
            "moved": [(row, self._people.of(row.other) if row.other else "") for row in moved],
            "sheets": _sheets(standings),
            "left_mc": self._left(standings, free_mc),
            "is_asked": bool(drafts),
            "month": month_of(months[0]) if months else None,
            "shops": sorted(self._people.shops().values(), key=str.casefold),
            "entry": new_id().hex(),
            "count_max": paper.COUNT_MAX,
            "face_mc_max": paper.FACE_MC_MAX,
        }
        return self._looks.answer(ask, "clerk-member.html", lambda _words: values)

    def keep(self, ask: Ask) -> Response:
        """A key that this browser made is to sign for the account: others have to agree, as to any new key."""
        holder = self._holder(ask)
        public_key = unbase64(ask.text("public_key"))
        if not is_valid_public_key(public_key):
            raise Sorry(_("This browser's key cannot be used."), _("Load the page again, or take another browser."))
        with self._books.now() as book:
            found = book.state.admissions.account(holder)
        assert found is not None
        body = Rotate(found[0].subject, holder, public_key)
        if not ask.form.get("approval"):
            return JSONResponse(to_sign(Entry(new_id(), ask.now_s, body), self._facts, is_approval=True))
        agreed = read_entry(unbase64(ask.text("payload", chars_max=2000)))
        entry = Entry(agreed.id, agreed.time_s, body)
        approval = unbase64(ask.text("approval", chars_max=1000))
        check_approval(approval, entry, public_key, self._facts.genesis)
        with self._store.transaction() as connection:
            desk.propose(
                connection,
                entry,
                purpose="takeover",
                about=holder,
                proposed_by=ask.visitor.login.id if ask.visitor.login is not None else None,
                now_s=ask.now_s,
                approvals=((key_hint(public_key), approval),),
            )
        return JSONResponse({"next": ask.path.removesuffix("/keep")})

    def pay(self, ask: Ask) -> Response:
        """Pay somebody for a member who stands there, or who has signed on paper."""
        holder = self._holder(ask)
        payee = self._person(ask.text("payee"))
        amount_mc = _amount(ask.text("amount", chars_max=20))
        entry = Entry(_id(ask), ask.now_s, Transfer(holder, payee, amount_mc, ask.text("memo", is_needed=False)))
        return self._by(ask, holder, entry, then=f"/clerk/{holder.hex()}")

    def vouchers(self, ask: Ask) -> Response:
        """A sheet of vouchers: the member's credits move to the association first."""
        holder, sheet = self._holder(ask), _id(ask)
        if ask.form.get("signed"):
            with self._store.transaction() as connection:
                rows = drawer.of_sheet(connection, sheet)
            if not rows or rows[0].member != holder:
                raise HTTPException(404)
            entry = self._funding(rows, ask.now_s)
            return self._by(ask, holder, entry, then=f"/clerk/{holder.hex()}")
        count, amount_mc = _count(ask), _amount(ask.text("amount", chars_max=20))
        if amount_mc > paper.FACE_MC_MAX or amount_mc % 10:
            raise Sorry(
                _("A voucher is worth at most {most} credits, in hundredths.").format(
                    most=paper.face(paper.FACE_MC_MAX)
                ),
                _("Write less, and print more of them."),
            )
        with self._store.transaction() as connection:
            mine = drawer.of_member(connection, holder)
        with self._books.now() as book:
            left_mc = self._left([(row, drawer.standing(book, row)) for row in mine], book.state.book.free_mc(holder))
        if count * amount_mc > left_mc:
            raise Sorry(
                _("That is more than this member can have on paper: {left} credits are left.").format(
                    left=paper.face(max(left_mc, 0)) or "0"
                ),
                _("Print fewer or smaller ones; used and cancelled ones make room."),
            )
        with self._store.transaction() as connection:
            if not drawer.of_sheet(connection, sheet):
                drawer.draft(connection, sheet, holder, amount_mc, count, now_s=ask.now_s)
            rows = drawer.of_sheet(connection, sheet)
        return self._by(ask, holder, self._funding(rows, ask.now_s), then="")

    def print(self, ask: Ask) -> Response:
        """The sheet, once: nobody keeps what stands on it."""
        rows = self._sheet(ask)
        with self._books.now() as book:
            standings = {drawer.standing(book, row) for row in rows}
        if standings != {Standing.UNPRINTED}:
            raise _printed()
        genesis, codes, keys = self._facts.genesis, [], []
        for row in rows:
            secret = paper.new_secret()
            code = paper.code(row.number, row.amount_mc, secret)
            keys.append((row.number, paper.key_of(code, genesis).public_key))
            codes.append((row, code, self._code(ask, row, secret)))
        with self._store.transaction() as connection:
            if drawer.set_keys(connection, keys) != len(keys):
                raise _printed()  # a second tap, or a second window, was quicker: these codes would be worthless
        back = f"/clerk/{rows[0].member.hex()}"
        return self._looks.answer(ask, "voucher-sheet.html", lambda _words: {"codes": codes, "back": back})

    def cancel(self, ask: Ask) -> Response:
        """What no shop has taken of a sheet goes back to the member, one entry each, with the id that a payment to a
        shop would have: the ledger does one of the two."""
        with self._store.transaction() as connection:
            drawer.never_print(connection, self._sheet_id(ask))
        rows = self._sheet(ask)
        then = f"/clerk/{rows[0].member.hex()}"

        def to_do() -> Sequence[tuple[Voucher, bytes]]:
            with self._books.now() as book:
                open_now = (Standing.OPEN, Standing.UNPRINTED)
                return [(row, row.member) for row in rows if drawer.standing(book, row) in open_now]

        return self._in_turn(ask, to_do(), then=then, again=to_do)

    def settle(self, ask: Ask) -> Response:
        """Pay the shops for what they took."""

        def to_do() -> Sequence[tuple[Voucher, bytes]]:
            return [(row, row.payee) for row in self._waiting() if row.payee is not None]

        return self._in_turn(ask, to_do(), then="/clerk", again=to_do)

    def _in_turn(self, ask: Ask, left: Sequence[tuple[Voucher, bytes]], *, then: str, again: Any) -> Response:
        """One entry after the other, each signed by the association's account."""
        association = self._association()
        if ask.form.get("signed"):
            bodies = {row.end_id: self._end(row, payee) for row, payee in left}
            refused = self._bring(ask, lambda entry: bodies.get(entry.id) == entry.body)
            if refused is not None:
                return refused
            left = again()
        if not left:
            return JSONResponse({"next": then})
        row, payee = left[0]
        entry = Entry(row.end_id, ask.now_s, self._end(row, payee))
        return JSONResponse({**to_sign(entry, self._facts, post=ask.path), "subject": association.hex()})

    def _by(self, ask: Ask, holder: bytes, entry: Entry, *, then: str) -> Response:
        """Give an entry to be signed by an account whose key this browser keeps; the second time, bring it."""
        if not ask.form.get("signed"):
            return JSONResponse({**to_sign(entry, self._facts, post=ask.path), "subject": holder.hex()})
        refused = self._bring(ask, lambda signed: (signed.id, signed.body) == (entry.id, entry.body))
        return refused if refused is not None else JSONResponse({"next": then})

    def _bring(self, ask: Ask, is_it: Any) -> Response | None:
        data = unbase64(ask.text("signed", chars_max=ENTRY_CHARS_MAX))
        try:
            parsed = entries_of.parse(data)
        except FormatError:
            parsed = None
        if not isinstance(parsed, SignedEntry) or not is_it(parsed.entry):
            raise Sorry(_("This is not what was to be signed."), _("Load the page again and repeat it."))
        (answer,) = self._books.submit(data)
        if not isinstance(answer, Refused):
            return None
        says, to_do = refusals.sentence(answer.refusal)
        return JSONResponse({"error": says, "to_do": to_do, "refused": answer.refusal.label}, 422)

    def _funding(self, rows: Sequence[Voucher], now_s: int) -> Entry:
        first, last = rows[0], rows[-1]
        memo = f"vouchers {first.number}-{last.number}"
        sum_mc = sum(row.amount_mc for row in rows)
        return Entry(first.sheet, now_s, Transfer(first.member, self._association(), sum_mc, memo))

    def _end(self, row: Voucher, payee: bytes) -> Transfer:
        return Transfer(self._association(), payee, row.amount_mc, f"voucher {row.number}")

    def _left(self, standings: Sequence[tuple[Voucher, Standing]], free_mc: int) -> int:
        """What a member may still have printed."""
        out = (Standing.OPEN, Standing.UNPRINTED)
        out_mc = sum(row.amount_mc for row, standing in standings if standing in out)
        return min(paper.OUT_MC_MAX - out_mc, free_mc)

    def _waiting(self) -> list[Voucher]:
        with self._store.transaction() as connection:
            rows = drawer.taken(connection)
        with self._books.now() as book:
            return [row for row in rows if drawer.standing(book, row) is Standing.TAKEN]

    def _sheet_id(self, ask: Ask) -> bytes:
        try:
            return bytes.fromhex(ask.part("sheet"))
        except ValueError as error:
            raise HTTPException(404) from error

    def _sheet(self, ask: Ask) -> list[Voucher]:
        with self._store.transaction() as connection:
            rows = drawer.of_sheet(connection, self._sheet_id(ask))
        if not rows:
            raise HTTPException(404)
        return rows

    def _code(self, ask: Ask, row: Voucher, secret: str) -> Markup:
        """Behind the # stands what only the paper knows: browsers send it to nobody."""
        return qr.svg(f"{self._address.url(ask.request)}/v/{row.number}#{paper.face(row.amount_mc)}-{secret}")

    def _holder(self, ask: Ask) -> bytes:
        wanted = ask.part("holder")
        found = next((row for row in (self._association(), *self._people.all()) if row.hex() == wanted), None)
        if found is not None:
            with self._books.now() as book:
                if key_of(book.state, found) is not None:
                    return found
        raise HTTPException(404)

    def _name(self, holder: bytes) -> str:
        is_association = holder == self._association() and holder not in self._people.all()
        return _("The association") if is_association else self._people.of(holder)

    def _person(self, name: str) -> bytes:
        found = self._people.search(name, limit=FOUND_MAX)
        exact = [row for row in found if row.name.casefold() == name.casefold()]
        if len(exact or found) != 1:
            raise Sorry(
                _("It is not clear who “{name}” is.").format(name=name),
                _("Write the whole name, as on the list of people."),
            )
        return (exact or found)[0].id

    def _association(self) -> bytes:
        with self._books.now() as book:
            return book.state.founded.genesis.association


def _sheets(standings: Sequence[tuple[Voucher, Standing]]) -> list[dict[str, Any]]:
    """Vouchers by the sheet they were printed on, the newest first; what was never paid for is left out."""
    found: dict[bytes, list[tuple[Voucher, Standing]]] = {}
    for row, standing in standings:
        if standing is not Standing.UNPAID:
            found.setdefault(row.sheet, []).append((row, standing))
    return [
        {
            "sheet": sheet.hex(),
            "first": rows[-1][0].number,
            "last": rows[0][0].number,
            "amount_mc": rows[0][0].amount_mc,
            "open": sum(standing in (Standing.OPEN, Standing.UNPRINTED) for _row, standing in rows),
            "count": len(rows),
            "is_unprinted": any(standing is Standing.UNPRINTED for _row, standing in rows),
        }
        for sheet, rows in found.items()
    ]


def _printed() -> Sorry:
    return Sorry(
        _("This sheet was printed already, or is not paid for."),
        _("What was printed is kept nowhere else. If it is lost, cancel the sheet and print another."),
    )


def _id(ask: Ask) -> bytes:
    """The id that the form carries: whoever sends it twice makes one entry."""
    try:
        return bytes.fromhex(ask.text("entry"))
    except ValueError as error:
        raise HTTPException(404) from error


def _amount(text: str) -> int:
    try:
        amount_mc = parse_credits(text)
    except ValueError:
        raise Sorry(_("“{text}” is no amount.").format(text=text), _("Write it like this: 12,50 or 12.50.")) from None
    if amount_mc == 0:
        raise Sorry(_("The amount is nothing."), _("Write an amount above zero."))
    return amount_mc


def _count(ask: Ask) -> int:
    text = ask.text("count", chars_max=4)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= paper.COUNT_MAX:
        raise Sorry(
            _("“{text}” cannot be taken.").format(text=text),
            _("Write a whole number from {least} to {most}.").format(least=1, most=paper.COUNT_MAX),
        )
    return int(text)
