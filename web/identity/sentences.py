"""The letters of signing in, in the language that is spoken. Pure."""

from commonwatt.i18n import _
from web.mail.letters import Letter


def sign_in(email: str, url: str, title: str) -> Letter:
    """The link."""
    return Letter(
        email,
        _("Your link to {title}").format(title=title),
        _(
            "Hello,\n\n"
            "with this link you sign in to {title}. It is good once, for 15 minutes, in the browser that you open "
            "it in:\n\n{url}\n\n"
            "You did not ask for it? Then somebody typed your address. Do nothing: without this letter nobody gets "
            "in. Give the link to nobody, not even to the association, which will never ask for it.\n"
        ).format(title=title, url=url),
    )


def confirm_email(email: str, url: str, title: str) -> Letter:
    """To the new address."""
    return Letter(
        email,
        _("Is this your address? {title}").format(title=title),
        _(
            "Hello,\n\n"
            "somebody who is signed in at {title} wants letters to come to this address. If it was you, open this "
            "link within 15 minutes:\n\n{url}\n\n"
            "If it was not you, do nothing.\n"
        ).format(title=title, url=url),
    )


def email_changed(old: str, new: str, title: str) -> Letter:
    """To the old address, so that nobody takes an account away unseen."""
    return Letter(
        old,
        _("Your address at {title} was changed").format(title=title),
        _(
            "Hello,\n\n"
            "from now on, links to sign in to {title} go to {new} and no longer to this address.\n\n"
            "It was not you? Tell the association at once. Your credits are safe: only your own key can spend them.\n"
        ).format(title=title, new=new),
    )


def invitation(email: str, name: str, url: str, title: str) -> Letter:
    """From the association, by a command."""
    return Letter(
        email,
        _("Your invitation to {title}").format(title=title),
        _(
            "Hello {name},\n\n"
            "you are invited to take part in {title}. Open this link within two weeks, on the phone or computer that "
            "you use every day:\n\n{url}\n\n"
            "It is for you alone and is good once: whoever opens it first is believed to be you.\n"
        ).format(title=title, url=url, name=name),
    )


def recovery_begun(email: str, url: str, title: str) -> Letter:
    """When a new key is asked for."""
    return Letter(
        email,
        _("A new key for your account at {title}").format(title=title),
        _(
            "Hello,\n\n"
            "a browser that is signed in as you has asked for a new key for your account at {title}. It gets it only "
            "when two of these agree: your second device, your printed code, the association.\n\n"
            "It was not you? Open this page, stop it, sign out every browser, and tell the association:\n\n{url}\n"
        ).format(title=title, url=url),
    )
