"""What modules in the browser say, handed to them as JSON in the page."""

import json

from markupsafe import Markup

from commonwatt.i18n import _
from web.roles import Role


def of_modules() -> dict[str, str]:
    """By the names that static/wallet uses, in the language that is spoken."""
    return {
        "offline": _("There is no connection. Nothing was sent; try again when there is one."),
        "broken": _("That did not work. Load the page again and repeat it."),
        "too-large": _("This file is too large: at most 5 MB can be sent. Take a smaller picture."),
        "no-key": _("This browser does not have your key. Use the one in which you joined, or recover your account."),
        "passkey-no": _("No passkey was used. Try again, or sign in by e-mail."),
        "passkey-there": _("This device has a passkey for you already."),
        "passkey-never": _("This browser has no passkeys. Sign in by e-mail."),
        "no-keys-here": _("This browser cannot make keys: it is too old, or the page did not come over HTTPS."),
    }


def of_role(role: Role) -> str:
    """What somebody is, in the language that is spoken."""
    return {
        Role.ANYBODY: _("a visitor"),
        Role.WAITING: _("waiting to be admitted"),
        Role.RESIDENT: _("resident"),
        Role.MERCHANT: _("merchant"),
        Role.STEWARD: _("association"),
        Role.TOWNHALL: _("town hall"),
        Role.OPERATOR: _("grid operator"),
        Role.AUDITOR: _("auditor"),
    }[role]


def as_script(value: object) -> Markup:
    """JSON that may stand inside <script type="application/json">: nothing in it ends the element."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704 no < is left
