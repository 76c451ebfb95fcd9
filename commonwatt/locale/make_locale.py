"""`make locale`: extract every `_("…")`, merge it into the French texts, compile them.

Nothing depends on the day or on line numbers, so a second run changes no file. What has no French text
yet stays in the .po with an empty msgstr, is listed on standard error, and makes the exit code 1.
"""

import re
import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

LOCALE = Path(__file__).parent
ROOT = LOCALE.parents[1]
PO = LOCALE / "fr" / "LC_MESSAGES" / "commonwatt.po"
MO = PO.with_suffix(".mo")

PARTS = ("commonwatt", "gateway", "aggregator", "ledger", "bench", "dashboards", "web")
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
LINE_WIDTH = 118


def extracted() -> Catalog:
    """Every message of the code, in English, without its place."""
    catalog = Catalog(project="Commonwatt", charset="utf-8")
    for part in PARTS:
        if (ROOT / part).is_dir():
            for _file, _line, text, _comments, context in extract_from_dir(
                ROOT / part, METHODS, keywords={"_": None}
            ):
                catalog.add(text, context=context)
    return catalog


def translated() -> Catalog:
    """The French texts as they are kept."""
    with PO.open("rb") as file:
        return read_po(file, locale="fr", domain="commonwatt")


def merged() -> Catalog:
    """The messages of the code with the French texts that are kept; what the code no longer says is dropped."""
    french = translated()
    french.update(extracted(), no_fuzzy_matching=True, update_header_comment=False, update_creation_date=False)
    french.obsolete.clear()
    return french


def missing(french: Catalog) -> list[str]:
    """The messages without a French text, sorted."""
    return sorted(str(message.id) for message in french if message.id and not message.string)


def spaced(text: str) -> str:
    """French typography: no line ends before : ; ! ? » %, or after «. The .po keeps plain spaces."""
    return re.sub(r"(?<=«) | (?=»|[:;!?%](?:\s|$))", "\u00a0", text)


def compiled(french: Catalog) -> bytes:
    """The .mo file of a catalog, with the spaces that printers use."""
    for message in french:
        if message.id and isinstance(message.string, str):
            message.string = spaced(message.string)
    out = BytesIO()
    write_mo(out, french)
    return out.getvalue()


def main() -> int:
    """Rewrite the .po and the .mo; returns the exit code."""
    french = merged()
    with PO.open("wb") as file:
        write_po(file, french, width=LINE_WIDTH, no_location=True, sort_output=True, ignore_obsolete=True)
    MO.write_bytes(compiled(french))
    untranslated = missing(french)
    for text in untranslated:
        print(f"no French text: {text!r}", file=sys.stderr)
    if untranslated:
        print(f"→ write them in {PO.relative_to(ROOT)}, then make locale", file=sys.stderr)
    return 1 if untranslated else 0


if __name__ == "__main__":
    sys.exit(main())
