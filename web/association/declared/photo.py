"""A photograph that somebody sends: looked at as bytes alone, never run, kept under a name of ours. Pure."""

from commonwatt.i18n import _
from web.visitor import Sorry

SIZE_MAX = 5 * 1024 * 1024
_BEGINNINGS = {
    b"\xff\xd8\xff": ("photo.jpg", "image/jpeg"),
    b"\x89PNG\r\n\x1a\n": ("photo.png", "image/png"),
}
_WEBP = (b"RIFF", b"WEBP")
TYPES = dict([*_BEGINNINGS.values(), ("photo.webp", "image/webp")])
"""How each is shown: an image, whatever else is in it."""


def name_of(data: bytes) -> str:
    """The name under which a picture is kept. Sorry if it is none, or too large. What its sender called it does not
    matter."""
    if len(data) > SIZE_MAX:
        raise Sorry(_("This photograph is too large."), _("Send one of at most 5 MB."))
    for beginning, (name, _kind) in _BEGINNINGS.items():
        if data.startswith(beginning):
            return name
    if data[:4] == _WEBP[0] and data[8:12] == _WEBP[1]:
        return "photo.webp"
    raise Sorry(_("This is no photograph."), _("Send a JPEG, PNG or WebP picture, or none."))
