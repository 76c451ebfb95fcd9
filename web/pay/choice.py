"""Whom somebody may want to pay, or ask: favourites, those paid last, shops, and members who agreed to be found."""

from dataclasses import dataclass

from commonwatt.registry import Status
from ledger.book.units import holder_of
from web.book.books import Books
from web.names import MEMBERS, Named, Names
from web.pay import known, purse
from web.store.file import WebStore
from web.visitor import Ask

LAST_COUNT, LAST_ENTRIES_MAX = 5, 60
MET_ENTRIES_MAX = 2_000
"""Of who asks, looked through for payments with somebody."""
FOUND_MAX = 20
SEARCH_CHARS_MIN = 2


@dataclass(frozen=True, slots=True)
class Somebody:
    """`account`: their id in hexadecimal; `name`: what who chooses calls them."""

    account: str
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """Groups that have nobody twice but shops, which are a directory."""

    kept: list[Somebody]
    last: list[Somebody]
    shops: list[Somebody]

    @property
    def everybody(self) -> dict[str, str]:
        """Names by account, each once."""
        return {row.account: row.name for group in (self.shops, self.last, self.kept) for row in group}


class PeopleToChoose:
    """Of one commune."""

    def __init__(self, store: WebStore, books: Books, names: Names) -> None:
        self._store, self._books, self._names = store, books, names

    def of(self, ask: Ask) -> Choice:
        """For who asks."""
        me = ask.visitor.subject
        kept = self.kept(ask)
        with self._books.now() as book:
            last = purse.last_payees(book, me, count=LAST_COUNT, entries_max=LAST_ENTRIES_MAX)
        are_kept = {row.account for row in kept}
        paid = [Somebody(holder.hex(), self._names.of(holder)) for holder in last if holder.hex() not in are_kept]
        return Choice(kept, paid, [_somebody(row) for row in self._payable(me) if row.is_shop])

    def kept(self, ask: Ask) -> list[Somebody]:
        """Favourites."""
        with self._store.transaction() as connection:
            rows = known.favourites(connection, ask.visitor.subject)
        return [Somebody(row.holder.hex(), row.name) for row in rows]

    def name_of(self, ask: Ask, holder: bytes) -> str:
        """What who asks may call somebody. The log is public and says ids: a name is told to those only who have it
        already, by a payment between the two, or whom it was offered to; or every account could be looked up."""
        kept = next((row.name for row in self.kept(ask) if row.account == holder.hex()), None)
        if kept is not None:
            return kept
        with self._store.transaction() as connection:
            agreed = known.may_be_found(connection)
        found = self._names.everybody().get(holder)
        if found is not None and (found.table != MEMBERS or holder in agreed or self._have_met(ask, holder)):
            return found.name
        return Names.unnamed(holder)

    def _have_met(self, ask: Ask, holder: bytes) -> bool:
        with self._books.now() as book:
            theirs = purse.payments(book, ask.visitor.subject, entries_max=MET_ENTRIES_MAX)
            return any(holder in (holder_of(row.payer), holder_of(row.payee)) for row in theirs)

    def search(self, ask: Ask, wanted: str) -> list[Somebody]:
        """Shops, and members who agreed, whose name has what was typed in it."""
        if len(wanted) < SEARCH_CHARS_MIN:
            return []
        with self._store.transaction() as connection:
            agreed = known.may_be_found(connection)
        folded = wanted.casefold()
        rows = [row for row in self._payable(ask.visitor.subject) if row.is_shop or row.account in agreed]
        return [_somebody(row) for row in rows if folded in row.name.casefold()][:FOUND_MAX]

    def _payable(self, me: bytes) -> list[Named]:
        """Everybody else whose account is there and not closed, by name."""
        with self._books.now() as book:
            admissions = book.state.admissions
            rows = [
                row
                for row in self._names.everybody().values()
                if row.account != me
                and (found := admissions.account(row.account)) is not None
                and found[1] is not Status.REVOKED
            ]
        return sorted(rows, key=lambda row: row.name.casefold())


def _somebody(named: Named) -> Somebody:
    return Somebody(named.account.hex(), named.name)
