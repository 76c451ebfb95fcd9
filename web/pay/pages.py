"""Every page of paying and of the till."""

from web.address import Address
from web.book.books import Books
from web.door import Page
from web.facts import Facts
from web.looks import Looks
from web.names import Names
from web.pay.asking import AskPages
from web.pay.offline import OfflinePages
from web.pay.paying import PayPages
from web.pay.requests import RequestPages
from web.store.file import WebStore
from web.till.pages import TillPages


def pages(store: WebStore, books: Books, looks: Looks, facts: Facts, names: Names, *, address: Address) -> list[Page]:
    """Wired from the parts of the application."""
    common = (store, books, looks, facts, names)
    return [
        *AskPages(*common, address=address).pages(),
        *PayPages(*common).pages(),
        *RequestPages(*common).pages(),
        *TillPages(books, looks, facts, names).pages(),
        *OfflinePages(looks, facts).pages(),
    ]
