"""The pages of one's own account."""

import json

from starlette.exceptions import HTTPException
from starlette.responses import Response

from web import phrases, qr
from web.account.entry_page import EntryPage, paper
from web.account.home import Home
from web.account.listing import Listing
from web.account.proofs import Prover
from web.account.reader import AccountReader
from web.book.books import Books
from web.door import Page
from web.looks import Looks, Words
from web.public import proofs
from web.public.town import TownReader
from web.roles import MEMBERS
from web.visitor import Ask

PLACE_DIGITS_MAX = 12
PROOF = "application/octet-stream"


class AccountPages:
    """Routes of this room."""

    def __init__(self, reader: AccountReader, prover: Prover, books: Books, looks: Looks, town: TownReader) -> None:
        self._prover, self._looks, self._town = prover, looks, town
        self._home, self._listing, self._entry = Home(reader, books), Listing(reader, books), EntryPage(reader, books)

    def pages(self) -> list[Page]:
        """Every address of an account."""
        return [
            Page("home", "/home", MEMBERS, get=self.home),
            Page("movements", "/movements", MEMBERS, get=self.movements),
            Page("movements-csv", "/movements.csv", MEMBERS, get=self.csv),
            Page("movement-proof", "/movement/{place}.proof", MEMBERS, get=self.proof),
            Page("movement", "/movement/{place}", MEMBERS, get=self.movement),
            Page("movement-paper", "/movement/{place}/paper", MEMBERS, get=self.paper),
        ]

    def home(self, ask: Ask) -> Response:
        """What the account holds and why."""
        return self._looks.answer(
            ask, "home.html", lambda words: self._home.values(ask.visitor.subject, ask.now_s, words)
        )

    def movements(self, ask: Ask) -> Response:
        """All of them, by month or by a search."""
        return self._looks.answer(ask, "movements.html", lambda words: self._listing.values(ask, words))

    def csv(self, ask: Ask) -> Response:
        """The same as a file."""
        text = self._listing.csv(ask, self._looks.words(ask.language))
        return _file(text.encode("utf-8-sig"), "movements.csv", "text/csv; charset=utf-8")

    def movement(self, ask: Ask) -> Response:
        """One of them, why it is, and its proof to be kept, printed or checked here."""
        place, town = self._place(ask), self._town.look()

        def values(words: Words) -> dict[str, object]:
            told = town.constitution.model_dump(mode="json")
            return {
                **self._entry.values(ask.visitor.subject, place, town.head, words),
                "constitution": phrases.as_script(told),
                "sentences": phrases.as_script(proofs.words()),
            }

        return self._looks.answer(ask, "movement.html", values)

    def proof(self, ask: Ask) -> Response:
        """The proof as a file, with everything behind it that can be enclosed."""
        place = self._place(ask)
        file, _form = self._prover.prove(ask.visitor.subject, place)
        return _file(file.encode(), f"{place}.proof", PROOF)

    def paper(self, ask: Ask) -> Response:
        """The page that is printed."""
        place, town = self._place(ask), self._town.look()
        made = self._prover.for_paper(ask.visitor.subject, place)

        def values(words: Words) -> dict[str, object]:
            return {
                **self._entry.values(ask.visitor.subject, place, town.head, words),
                "code": qr.svg(made[0].encode(), error="l") if made is not None else "",
                "code_says": paper(made[1] if made is not None else None),
            }

        return self._looks.answer(ask, "paper.html", values)

    def _place(self, ask: Ask) -> int:
        """The place that the address names; 404 unless its entry concerns who asks."""
        text = ask.part("place")
        if not (text.isascii() and text.isdigit() and len(text) <= PLACE_DIGITS_MAX):
            raise HTTPException(404)
        self._entry.check(ask.visitor.subject, int(text))
        return int(text)


def _file(data: bytes, name: str, media_type: str) -> Response:
    headers = {
        "Content-Disposition": f"attachment; filename={json.dumps(name)}",
        "Cache-Control": "private, no-store",
    }
    return Response(data, media_type=media_type, headers=headers)
