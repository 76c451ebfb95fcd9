"""What is told of devices, in sentences."""

from collections.abc import Iterator
from dataclasses import dataclass

from aggregator.enrolment.judge import Unfit
from aggregator.holds import reasons
from commonwatt.i18n import _
from ledger.book.kinds import DeviceRole, Grade
from web.devices.state import Added, HeldSpan, Own
from web.looks import Words


@dataclass(frozen=True, slots=True)
class Step:
    """A step of adding a device. `is_done`: None: it is this one's turn; False: it comes later or cannot be."""

    is_done: bool | None
    says: str
    more: str = ""


def title(own: Own) -> str:
    """What it is called; what it is, where nobody has named it."""
    if own.name != own.row.device.hex()[:8]:
        return own.name
    return {
        DeviceRole.MAIN: _("The home's meter"),
        DeviceRole.PRODUCTION: _("The roof's meter"),
        DeviceRole.SUB_METER: _("A plug"),
    }[own.account.role]


def measures(role: DeviceRole) -> str:
    """What it measures."""
    return {
        DeviceRole.MAIN: _("It measures what your home takes from the grid and gives to it."),
        DeviceRole.PRODUCTION: _("It measures what your roof makes."),
        DeviceRole.SUB_METER: _("It measures what one plug or one part of your home uses."),
    }[role]


def signs(grade: Grade) -> str:
    """Who signs its readings."""
    return {
        Grade.DEVICE: _("It signs its readings itself."),
        Grade.GATEWAY: _("A gateway in the neighbourhood reads and signs for it."),
        Grade.DECLARED: _("People write its readings down, and a second person confirms them."),
    }[grade]


def health(own: Own, now_s: int, words: Words) -> Iterator[tuple[bool, str]]:
    """Whether something is the matter, and what; each with what happens next."""
    row = own.row
    if row.status == "revoked":
        yield False, _("It was taken out of service; its readings stay as they are.")
        return
    if row.is_frozen:
        yield (
            True,
            _(
                "It has told two different histories and is stopped: what it measures from then on earns nothing. "
                "The association has to look at it; usually it was put back from a copy, and gets a new key."
            ),
        )
    if row.status == "suspended":
        yield True, _("It is suspended by the association, which can tell you why.")
    if not row.latest_s:
        yield (
            True,
            _("Nothing has come from it yet. The first readings come a quarter of an hour after it was admitted."),
        )
    elif row.latest_s > now_s + 900:
        yield True, _("Its clock is ahead: what it dates in the future is held until somebody has looked at it.")
    elif own.is_silent(now_s):
        yield (
            True,
            _(
                "Nothing has come from it since {moment}. Is it plugged in, and does your network work? It keeps "
                "what it measures and sends it when it is back."
            ).format(moment=words.moment(row.latest_s)),
        )
    else:
        yield False, _("It works; its last reading is of {moment}.").format(moment=words.moment(row.latest_s))
    if row.missing > 0:
        yield (
            False,
            _("{count} of its messages have not arrived yet; no energy is lost by it, only its times.").format(
                count=words.count(row.missing)
            ),
        )


def held(span: HeldSpan, words: Words) -> tuple[str, str, str]:
    """A held span: when and how much, why, and what happens next."""
    when = _("{start} to {end}: {energy}").format(
        start=words.moment(span.start_s), end=words.moment(span.end_s), energy=words.energy(span.energy_wh)
    )
    if span.is_released is None:
        next_ = _(
            "A person of the association looks at it. If it is right, it is paid with what is settled next; if not, "
            "it earns nothing. You need not do anything, but you may tell them what happened."
        )
    elif span.is_released:
        next_ = _("The association has looked at it and released it: it was settled.")
    else:
        next_ = _("The association has looked at it: it earns nothing.")
    return when, reasons.why(span.reason), next_


def unfit(why: Unfit) -> str:
    """Why a claim is not taken, and what helps."""
    return {
        Unfit.REJECTED: _("The association said no to it. Ask it why; then set the device up again."),
        Unfit.UNKNOWN_LABEL: _("The association does not know this label yet: tell it the device's number."),
        Unfit.OTHER_KEY: _(
            "The device is not the one for which the label was made. Give it back to the association."
        ),
        Unfit.WRONG_CODE: _(
            "It was set up with another code than the label's: hold its button for ten seconds and begin again."
        ),
        Unfit.EXPIRED: _(
            "The label was too old when it was set up: ask the association to renew it, then set it up again."
        ),
        Unfit.UNKNOWN_MEMBER: _("Your account is not a member's yet: the association has to admit you first."),
        Unfit.ADMITTED_BEFORE: _("It is in service already."),
    }[why]


def steps(added: Added, words: Words) -> list[Step]:
    """From the label to the first reading; what is done, what it is the turn of, what is to come."""
    network = f"Commonwatt-{added.device.hex()[:4].upper()}"
    is_claimed = added.claim is not None and added.is_mine
    is_fit = is_claimed and added.unfit in (None, Unfit.ADMITTED_BEFORE)
    has_read = added.row is not None and added.row.latest_s > 0
    return [
        Step(True, _("Your label is one of the commune's.")),
        Step(
            True if is_claimed or added.is_admitted else None,
            _("Set the device up"),
            _(
                "Give it power. In your phone's list of networks, “{network}” appears; its password is the code on "
                "the label, in capitals and without hyphens. A page opens; fill in your network, the code, and your "
                "account from below."
            ).format(network=network),
        ),
        Step(
            True if added.is_admitted or is_fit else None if is_claimed else False,
            _("It reports to the commune"),
            _claimed(added, words),
        ),
        Step(
            True if added.is_admitted else None if is_fit else False,
            _("The association admits it"),
            _("It sees the device on its desk. You need not do anything; this page shows when it is done."),
        ),
        Step(
            True if has_read else None if added.is_admitted else False,
            _("The first reading"),
            _("It comes about a quarter of an hour later. From then on, what it measures counts."),
        ),
    ]


def _claimed(added: Added, words: Words) -> str:
    if added.is_admitted or added.claim is None:
        return _("It does so by itself, a minute after it was set up.")
    if not added.is_mine:
        return _(
            "It was set up for another account. If it is yours, hold its button for ten seconds and begin again."
        )
    if added.unfit not in (None, Unfit.ADMITTED_BEFORE):
        return unfit(added.unfit)
    return _("It did so on {moment}.").format(moment=words.moment(added.claim.received_s))
