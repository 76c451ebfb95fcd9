"""QR codes as SVG for pages, black on white in any scheme."""

import segno
from markupsafe import Markup

_QUIET_ZONE = 2
"""Modules of white around a code on a white card."""


def svg(content: str | bytes, *, error: str = "m") -> Markup:
    """The code of a text, an address, so that a phone's own camera opens it; or of bytes for whoever expects them."""
    code = segno.make_qr(content, error=error)
    drawn = code.svg_inline(
        omitsize=True, border=_QUIET_ZONE, dark="#000", light="#fff", svgclass="qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - segno's own drawing; of the text nothing but modules is in it
