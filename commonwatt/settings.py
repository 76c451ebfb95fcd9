"""Settings: frozen pydantic models, read once from TOML; a mistake is named with its file and place."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from commonwatt.errors import UserError
from commonwatt.i18n import _


class Settings(BaseModel):
    """Base of every part's settings: frozen, and a key that nobody knows is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The file as a table; UserError names the line of a mistake."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"), where=path)
    except OSError as error:
        raise UserError(_("cannot be read: {error}").format(error=error.strerror), where=path) from error
    except UnicodeDecodeError as error:
        raise UserError(f"is not TOML: {error}", where=path, to_do="mend that line") from error


def parse_toml(text: str, *, where: object) -> dict[str, Any]:
    """A text as a table; UserError names the line of a mistake."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"is not TOML: {error}", where=where, to_do="mend that line") from error


def load(model: type[Model], path: Path) -> Model:
    """Read a settings file into its model."""
    return validate(model, read_toml(path), where=path)


def validate(model: type[Model], table: dict[str, Any], *, where: object) -> Model:
    """Check a table against its model; UserError lists every mistake with its place."""
    try:
        return model.model_validate(table)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{'.'.join(str(part) for part in mistake['loc']) or 'file'}: {mistake['msg']}"
            for mistake in error.errors(include_url=False)
        )
        raise UserError(mistakes, where=where, to_do=_("see docs/operating/settings.md")) from error
