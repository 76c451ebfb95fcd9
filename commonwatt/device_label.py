"""The label on a device: its id and claim code, for people and as a QR code.

    CW1:0123456789ABCDEF0123456789ABCDEF:4RT6-9KQ2-XM    format, device id, claim code

    HTTPS://VILLAGE.EXAMPLE/ADD/CW1:0123456789ABCDEF0123456789ABCDEF:4RT6-9KQ2-XM    the same as an address

The QR code may be an address of the commune's pages with the same in it: a phone's own camera opens it.

The claim code shows that whoever types it has held the device; it is no key and signs nothing. Capitals, digits,
colon, hyphen, point and slash keep the QR code small (its alphanumeric mode); hosts are the same in capitals.
"""

import hashlib
import re
import secrets
from xml.sax.saxutils import escape

from commonwatt.errors import UserError

FORMAT = "CW1"
CODE_LENGTH = 10
"""50 random bits: nobody guesses one, and it is typed in a few seconds."""
# Crockford's base 32: no I, L, O or U, so that nothing is read wrongly.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NAME_LENGTH_MAX = 24
_CODE = re.compile(rf"[{ALPHABET}]{{{CODE_LENGTH}}}")
_READ = re.compile(rf"(?:.*/)?{FORMAT}:([0-9A-F]{{32}}):([{ALPHABET}-]+)", re.DOTALL)
TEXT_MAX = 400
ADD = "/ADD/"
"""Where the commune's pages take a label."""
_WIDTH_MM, _HEIGHT_MM = 62, 29
_TEXT_LEFT_MM, _TEXT_WIDTH_MM = 30, 31
_NAME_MM, _CODE_MM, _SMALL_MM = 3.4, 3.4, 2.2
_CHARACTER_WIDTH = 0.62  # of its height, in the widest of the usual monospaced fonts
_QR_MM, _QUIET_MM = 22, 3.5  # four empty modules on every side, as readers want them
_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH_MM}mm" height="{_HEIGHT_MM}mm" '
    f'viewBox="0 0 {_WIDTH_MM} {_HEIGHT_MM}">'
)


def new_claim_code() -> str:
    """Ten random characters, ungrouped."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def read_claim_code(typed: str) -> str:
    """What a person typed, with or without hyphens, in any case; UserError if it is no claim code."""
    code = typed.strip().upper().replace("-", "").replace(" ", "")
    if not _CODE.fullmatch(code):
        raise UserError(
            f"{typed!r} is no claim code", to_do=f"it has {CODE_LENGTH} letters and digits, no I, L, O, U"
        )
    return code


def claim_hash(device: bytes, code: str) -> str:
    """What the commune keeps instead of the code: SHA-256 of the label's content, in hexadecimal.

    50 bits can be searched by someone determined: the hash is private, like the code.
    """
    return hashlib.sha256(content(device, code).encode()).hexdigest()


def address(pages: str, device: bytes, code: str) -> str:
    """The same as an address of a commune's pages ("https://village.example"); UserError if it is none that is the
    same in capitals."""
    if not re.fullmatch(r"https?://[a-zA-Z0-9.-]+(:[0-9]{1,5})?/?", pages):
        raise UserError(
            f"{pages!r} is no address for a label",
            to_do="name the pages' address without a path: https://village.example",
        )
    return pages.rstrip("/").upper() + ADD + content(device, code)


def read(text: str) -> tuple[bytes, str]:
    """Device and claim code of what a label says, as it was scanned or typed; UserError if it is no label's."""
    plain = text.strip().upper().replace("%3A", ":").replace(" ", "")
    found = _READ.fullmatch(plain) if len(text) <= TEXT_MAX else None
    if found is None:
        raise UserError("this is not what a label says", to_do=f"it begins with {FORMAT}: and has two colons")
    return bytes.fromhex(found[1]), read_claim_code(found[2])


def content(device: bytes, code: str) -> str:
    """What the label says, and what its hash is of."""
    assert len(device) == 16
    return f"{FORMAT}:{device.hex().upper()}:{_grouped(code)}"


def label_svg(device: bytes, code: str, name: str, *, pages: str = "") -> str:
    """A label of 62 mm by 29 mm, as label printers have them. UserError if the name does not fit. `pages`:
    the address of the commune's pages, which the QR code then opens."""
    import segno

    if len(name) > NAME_LENGTH_MAX:
        raise UserError(f"{name!r} does not fit on a label", to_do=f"{NAME_LENGTH_MAX} characters at most")
    says = address(pages, device, code) if pages else content(device, code)
    code_qr = segno.make_qr(says, error="m", boost_error=False)
    size = code_qr.symbol_size(border=0)[0]
    squares = "".join(
        f"M{x},{y}h1v1h-1z" for y, row in enumerate(code_qr.matrix) for x, is_dark in enumerate(row) if is_dark
    )
    digits = device.hex().upper()
    name_mm = round(min(_NAME_MM, _TEXT_WIDTH_MM / (_CHARACTER_WIDTH * max(1, len(name)))), 2)
    lines = [(name_mm, "bold", name), (_SMALL_MM, "normal", digits[:16]), (_SMALL_MM, "normal", digits[16:])]
    lines += [(_SMALL_MM, "normal", "claim code"), (_CODE_MM, "bold", _grouped(code))]
    texts = "".join(
        f'<text x="{_TEXT_LEFT_MM}" y="{6 + 5 * index}" font-size="{size_mm}" font-weight="{weight}">'
        f"{escape(text)}</text>"
        for index, (size_mm, weight, text) in enumerate(lines)
    )
    scale = _QR_MM / size
    return (
        f'{_HEAD}<rect width="100%" height="100%" fill="#fff"/>'
        f'<path transform="translate({_QUIET_MM} {_QUIET_MM}) scale({scale:.4f})" d="{squares}"/>'
        f'<g font-family="monospace">{texts}</g></svg>\n'
    )


def _grouped(code: str) -> str:
    return f"{code[:4]}-{code[4:8]}-{code[8:]}"
