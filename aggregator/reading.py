"""The aggregator's database for commands that look while it runs: the engine that aggregator.toml names, one moment
of it, and nothing is written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from aggregator import engines, settings
from aggregator.schema import SCHEMA_VERSION
from aggregator.upgrade import SCHEMAS
from commonwatt.errors import UserError
from commonwatt.i18n import _
from ledger.store.engine import place_of


@contextmanager
def reading(directory: Path, database_url: str = "") -> Iterator[sa.Connection]:
    """A connection in a transaction. UserError if nothing was measured yet, if an earlier version of commonwatt wrote
    it, or if it cannot be read. `database_url`: instead of what the directory's settings say."""
    url = settings.database_url(directory, database_url)
    place = place_of(url, "the aggregator's database cannot lie there")
    if isinstance(place, Path) and not place.exists():
        raise _nothing(place)
    where = place if isinstance(place, Path) else place.render_as_string(hide_password=True)
    engine = engines.read_only(url)
    try:
        with engine.begin() as connection:
            if SCHEMAS.is_empty(connection):
                raise _nothing(where)
            if SCHEMAS.version_of(connection, where) != SCHEMA_VERSION:
                raise UserError(
                    _("an earlier version of commonwatt wrote this database"),
                    where=where,
                    to_do=_("let this version's aggregator run once"),
                )
            yield connection
    except sa.exc.SQLAlchemyError as error:
        cause = str(getattr(error, "orig", None) or error).partition("\n")[0]
        raise UserError(
            _("the aggregator's database cannot be read: {error}").format(error=cause),
            where=where,
            to_do=_("is its disk or server there? aggregator.toml says where it lies"),
        ) from error
    finally:
        engine.dispose()


class NothingMeasuredError(UserError):
    """The aggregator has not run yet."""


def _nothing(where: object) -> NothingMeasuredError:
    return NothingMeasuredError(
        _("nothing was measured here yet"), where=where, to_do=_("name a commune's directory")
    )
