"""Who has an account, for pages that may say so."""

from collections.abc import Mapping

from aggregator.private.person import Person
from aggregator.private.store import PrivateStore
from web.names import Names

ACCOUNTS = ("members", "merchants", "associations")
"""Tables of the private store whose rows have accounts."""


class People:
    """The people of a commune, by what the private store says now. May be asked from many threads."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._seen: tuple[PrivateStore, dict[bytes, Person]] | None = None

    def all(self) -> Mapping[bytes, Person]:
        """Everybody who has an account, by id, in the order of their names."""
        store, seen = self._names.now(), self._seen
        if seen is None or seen[0] is not store:
            found = [person for table in ACCOUNTS for person in store.people(table)]
            found.sort(key=lambda person: person.name.casefold())
            seen = self._seen = store, {person.id: person for person in found}
        return seen[1]

    def of(self, holder: bytes) -> str:
        """A name, or the beginning of the id of who has none."""
        person = self.all().get(holder)
        return holder.hex()[:8] if person is None else person.name

    def shops(self) -> dict[bytes, str]:
        """Merchants and the association, whose names everybody may know."""
        return {person.id: person.name for person in self.all().values() if person.table != "members"}

    def search(self, text: str, *, limit: int) -> list[Person]:
        """Those whose name holds a text, or whose id it is."""
        wanted = text.casefold().strip()
        return [row for row in self.all().values() if wanted in row.name.casefold() or row.id.hex() == wanted][:limit]
