"""What a part says when a package that only it needs is not installed."""

from collections.abc import Iterator
from contextlib import contextmanager

from commonwatt.errors import UserError
from commonwatt.i18n import _


@contextmanager
def packages_of(part: str, *, extra: str) -> Iterator[None]:
    """Around the imports of a part: UserError names the package, and the extra of commonwatt that brings it."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise UserError(
            _("the part '{name}' needs the package {package}, which is not installed").format(
                name=part, package=error.name
            ),
            to_do=f"pip install 'commonwatt[{extra}]'",
        ) from error
