"""The pages of one's own account."""

from starlette.responses import Response

from web.account.home import Home
from web.account.reader import AccountReader
from web.book.books import Books
from web.door import Page
from web.looks import Looks
from web.roles import MEMBERS
from web.visitor import Ask


class AccountPages:
    """Routes of this room."""

    def __init__(self, reader: AccountReader, books: Books, looks: Looks) -> None:
        self._reader, self._books, self._looks = reader, books, looks
        self._home = Home(reader, books)

    def pages(self) -> list[Page]:
        """Every address of an account."""
        return [Page("home", "/home", MEMBERS, get=self.home)]

    def home(self, ask: Ask) -> Response:
        """What the account holds and why."""
        return self._looks.answer(
            ask, "home.html", lambda words: self._home.values(ask.visitor.subject, ask.now_s, words)
        )
