"""Why a meter gave nothing: short labels to count by, and what each of them means to a person."""

from commonwatt.i18n import _


class MeterSilentError(Exception):
    """A meter did not give what was asked; `reason` is a label of `meaning_of`, for counting."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def meaning_of(label: str) -> str:
    """What a label says, and what to do about it. An unknown label is its own meaning."""
    if label.startswith("exception-"):
        number = label.removeprefix("exception-")
        known = _EXCEPTIONS.get(number)
        return known() if known else _("the meter refuses with exception {number}").format(number=number)
    meaning = _MEANINGS.get(label)
    return meaning() if meaning else label


# Called when they are shown, in the language of whoever looks.
_EXCEPTIONS = {
    "1": lambda: _("the meter does not know this way of asking: is the type in gateway.toml the right one?"),
    "2": lambda: _("the meter has no such register: is the type in gateway.toml the right one?"),
    "3": lambda: _("the meter refuses so many registers at once: is the type in gateway.toml the right one?"),
    "4": lambda: _("the meter says that it is out of order: look at its display"),
    "6": lambda: _("the meter is busy, it is asked again"),
    "10": lambda: _("the converter has no way to the bus: look at its settings"),
    "11": lambda: _("the converter gets no answer from the meter: is the address right, is the bus connected?"),
}
_MEANINGS = {
    "no-connection": lambda: _("nobody is there: is the converter or the adapter plugged in and switched on?"),
    "no-answer": lambda: _("the meter does not answer: address, baud, parity, wires A and B, power"),
    "garbled": lambda: _(
        "what came is no answer to our question: two meters with one address, noise, or a late answer"
    ),
    "short-answer": lambda: _("the meter answered with another number of registers than asked for"),
    "no-value": lambda: _("the meter says that it has no value for a register: nothing is written down"),
    "not-heat": lambda: _("an M-Bus meter, but not one for heat"),
    "meter-error": lambda: _("the meter reports a permanent error: it must be looked at by its maker"),
    "no-frame": lambda: _("the Linky speaks, but no whole frame is understood: mode, or noise on the wires"),
    "malformed": lambda: _("the telegram is damaged: two meters with one address, or noise"),
    "sunspec-no-map": lambda: _("no SunSpec map was found: is SunSpec switched on at the inverter?"),
    "sunspec-no-common-model": lambda: _("the SunSpec map does not begin with model 1"),
    "sunspec-endless": lambda: _("the SunSpec map has no end"),
    "sunspec-no-energy": lambda: _("the SunSpec map has no model with an energy register that we know"),
    "sunspec-ambiguous": lambda: _("the SunSpec map has several energy registers: name one with model = ..."),
    "sunspec-moved": lambda: _("the SunSpec map has changed and is read anew"),
    "too-late": lambda: _("the answer came after its step was over, so nobody can say when it was true"),
    "queue-full": lambda: _("readings came faster than the disk takes them"),
    "jump": lambda: _(
        "a register leapt further than the meter's rating allows: wrong word order, or a damaged answer"
    ),
    "backwards": lambda: _("a register ran backwards: it was reset, or the meter was exchanged"),
    "roll-over": lambda: _("a register passed its largest number and began again"),
    "other-registers": lambda: _("the meter shows other registers than before"),
    "replaced": lambda: _(
        "the registers go on from elsewhere: the meter counts from there, nothing between is energy"
    ),
}
