"""What modules in the browser say, handed to them as JSON in the page."""

import json

from markupsafe import Markup

from commonwatt.i18n import _
from web.pay import amounts
from web.roles import Role


def of_modules() -> dict[str, str]:
    """By the names that static/wallet uses, in the language that is spoken."""
    return {
        "offline": _("There is no connection. Nothing was sent; try again when there is one."),
        "broken": _("That did not work. Load the page again and repeat it."),
        "too-large": _("This file is too large: at most 5 MB can be sent. Take a smaller picture."),
        "notices-blocked": _(
            "This browser may not show notices. Allow it in the browser’s settings, then try again."
        ),
        "notices-unreachable": _("This browser’s push service cannot be reached. Try again later."),
        "no-key": _("This browser does not have your key. Use the one in which you joined, or recover your account."),
        "other-key": _("This browser's key is not, or no longer, the one of your account. The page “Me” says more."),
        "has-key": _("This browser has your key already. Open the link on another device."),
        "code-typo": _("These are not the signs on the paper. Compare them one by one; there is no 0, 1, I or O."),
        "forgets": _("This window keeps no keys. Open the page in a usual window, not in a private one."),
        "passkey-no": _("No passkey was used. Try again, or sign in by e-mail."),
        "passkey-there": _("This device has a passkey for you already."),
        "passkey-never": _("This browser has no passkeys. Sign in by e-mail."),
        **_of_payments(),
        **_of_vouchers(),
        "no-keys-here": _(
            "This browser cannot make keys. Chrome and Edge can from version 137 on, Firefox from 129, Safari from "
            "17, and only on pages that came over HTTPS."
        ),
    }


def _of_vouchers() -> dict[str, str]:
    return {
        "voucher-unclear": _("This is no voucher's code. It has a number, an amount and 16 signs: 12-5-K7QD…"),
        "voucher-cap": _("That is as much as can be taken without a connection. Connect first, then take more."),
        "voucher-kept": _("Kept here. It is sent when there is a connection; until then it may turn out to be used."),
        "voucher-waiting": _("Vouchers that wait to be sent: {count}, {sum} credits in all. Keep this page."),
        "no-key-kept": _("This browser does not keep that account's key: use the one that does."),
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


def _of_payments() -> dict[str, str]:
    return {
        **amounts.sentences(),
        "other-key": _("Your account has another key now. Use the browser that has it, or recover your account."),
        "memo-too-long": _("What it is for is too long. Write it in fewer words."),
        "choose-whom": _("Choose whom you want to pay."),
        "not-enough": _("You have {free}: not enough for this. Pay less, or wait for what you earn next."),
        "past-soft-limit": _("After this you owe {owed}, more than you should. Soon payments will be refused."),
        "pay-question": _("Pay {amount} to {name}?"),
        "pay-amount": _("Pay {amount}"),
        "prepared": _("{amount} to {name}"),
        "will-be-sent": _("Signed and kept in this browser. It will be sent when there is a connection."),
        "may-be-sent": _("It was sent and not answered yet. It is sent again until it is, and paid once."),
        "was-refused": _("It was not paid. {why}"),
        "too-late": _("It was not paid: the time for it is over. Ask for a new code, or pay again."),
        "no-connection": _("There is no connection: you see pages as they were."),
        "waiting-count": _("Payments that wait to be sent: {count}."),
        "outbox": _("On their way"),
        "cancel-payment": _("Do not send it"),
        "credits": _("credits"),
        "till-waiting": _("Waiting for the customer."),
        "till-opened": _("The customer sees it."),
        "till-short": _("The customer has not enough for it. Cancel it and ask for less."),
        "till-offline": _("There is no connection. The code still holds; this page looks again."),
        "till-over": _("This code is over. Cancel it and ask again."),
        "till-paid": _("{name} has paid you."),
        "understood": _("Remove from this list"),
    }


def as_script(value: object) -> Markup:
    """JSON that may stand inside <script type="application/json">: nothing in it ends the element."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704 no < is left
