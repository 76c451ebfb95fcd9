"""What members call their own devices. The name under which a device was enrolled is the commune's, and nothing else
has it; what its member calls it is an attribute of it. The log knows neither."""

import unicodedata

from aggregator.private.store import PrivateStore
from commonwatt.errors import UserError
from commonwatt.i18n import _

CALLED = "called"
CHARS_MAX = 40


def name_of(store: PrivateStore, device: bytes) -> str:
    """What its member calls a device, else the name under which it was enrolled."""
    return str(store.attributes(device).get(CALLED) or store.name_of(device))


def call(store: PrivateStore, device: bytes, name: str, *, at_s: int) -> bool:
    """Call a device something else; whether that is new. An empty name goes back to the first. Does not save.
    UserError for what is no name."""
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if len(text) > CHARS_MAX or not text.isprintable():
        raise UserError(
            _("This name cannot be taken."),
            to_do=_("Write at most {count} letters, digits and signs.").format(count=CHARS_MAX),
        )
    person = store.person(device) or store.enrol("devices", f"device {device.hex()}", device)
    return store.amend(person, {CALLED: text or None}, at_s=at_s) is not None
