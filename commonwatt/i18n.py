"""French and English: `_` marks and translates every sentence that a person reads.

Texts are English in the code; commonwatt/locale holds the French ones (gettext; `make locale` compiles them).
For a command the locale decides: the first of LANGUAGE, LC_ALL, LC_MESSAGES and LANG that is set, as gettext does
everywhere. A page that is served asks its reader's browser and says so with `speaking`.
"""

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

LOCALE_DIR = Path(__file__).parent / "locale"
DOMAIN = "commonwatt"
LANGUAGES = ("en", "fr")

_speaking: ContextVar[gettext.NullTranslations | None] = ContextVar("speaking", default=None)
_of_process = gettext.translation(DOMAIN, LOCALE_DIR, fallback=True)


def _(text: str) -> str:
    """The sentence in the language that is spoken here and now; English where there is no other."""
    return (_speaking.get() or _of_process).gettext(text)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Let `_` speak one of LANGUAGES, in this thread or task, while the `with` lasts."""
    token = _speaking.set(gettext.translation(DOMAIN, LOCALE_DIR, languages=[language], fallback=True))
    try:
        yield
    finally:
        _speaking.reset(token)


def preferred(accept_language: str) -> str:
    """The one of LANGUAGES that a browser's Accept-Language likes best (RFC 9110 §12.5.4); English if none.

    "de, fr-FR;q=0.8, en;q=0.5" → "fr"
    """
    best, best_quality = LANGUAGES[0], 0.0
    for wish in accept_language.split(","):
        tag, _semicolon, parameter = wish.partition(";")
        language = tag.strip().lower().split("-")[0]
        quality = _quality(parameter)
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best


def _quality(parameter: str) -> float:
    name, _equals, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
