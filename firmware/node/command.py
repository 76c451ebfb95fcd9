"""Signed commands to a device's relay: who may speak, what is refused, what is obeyed. docs/spec/command.cddl.

A command is obeyed once: its counter is kept in flash, with what it asked for, before the relay moves. What the
network or an update does never moves the relay: it follows the last command, its schedule or the button.

How it ends, and what is then true:
 1. Cut before the counter is durable: the command was not obeyed, and may be sent again with the same bytes.
 2. Cut after it: at the next boot the relay is put where the command wanted it.
 3. The counter cannot be written: the command is refused (UNWRITTEN) and the relay stays.
 4. The counter is lost (all its blocks are damaged): commands are refused until the device is enrolled anew with a
    new key, for any old one could be played again; the relay is on, and the button still works.
 5. The time is unknown: a schedule waits, the relay stays where it was.
 6. A window of the operator's runs (node/asked.py), and the owner lets it move the relay: it wins over the schedule,
    and nothing of it is kept; afterwards the relay is where it would be without. The button and a relay command win
    over it, until it ends or the power is cut.
"""

from node import cbor, cose, ed25519
from node.port import const

SIZE_MAX = const(512)
RULES_MAX = const(16)

# Why a command is refused, in the order in which it is checked: the cheap checks first, because a signature costs the
# chip most of a second and a forger could otherwise keep it busy. The first that fails is the answer.
TOO_LARGE = const(1)
MALFORMED = const(2)
UNKNOWN_KEY = const(3)
WRONG_DEVICE = const(4)
COUNTER_LOST = const(5)
REPLAYED = const(6)
STALE = const(7)
BAD_SIGNATURE = const(8)
UNWRITTEN = const(9)
LABELS = (
    "obeyed",
    "too-large",
    "malformed",
    "unknown-key",
    "wrong-device",
    "counter-lost",
    "replayed",
    "stale",
    "bad-signature",
    "unwritten",
)

_VERSION = const(1)
_COUNTER_MAX = (1 << 64) - 1

_RELAY = const(1)
_SCHEDULE = const(2)

_MINUTES_OF_DAY = const(1440)
_DAYS_OF_WEEK = const(7)
_EPOCH_WEEKDAY = const(3)  # 1970-01-01 was a Thursday; Monday is 0


class Control:
    """The relay's master. `cell` keeps what must survive; `device`, `genesis` are bytes; `switch(is_on)` moves it.

    Without a `public_key` nobody may command: the relay stands where it stood, or is on, and the button moves it.
    """

    def __init__(self, cell, device, public_key, genesis, switch):
        self._cell = cell
        self._device = device
        self._public_key = public_key
        self._aad = cose.external_aad("command", genesis)
        self._switch = switch
        self.counter, self.is_on, self.rules = self._restore()
        self.obeyed = 0
        self.refused = {}
        self.unwritten = 0
        self._asked = None  # (end_s, is_on) of the window that moves the relay now
        self._passed_s = 0  # until then somebody wanted it otherwise
        switch(self.is_on)

    @property
    def stands(self):
        """Where the relay is: as commanded, scheduled or pressed, `is_on`, or as a window has it."""
        return self.is_on if self._asked is None else self._asked[1]

    def obey(self, data):
        """Do what a signed command says; 0, or why it was refused."""
        reason = self._consider(data)
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
        else:
            self.obeyed += 1
        return reason

    def toggle(self):
        """The button was pressed: the other position, and no schedule until the next command."""
        wanted = not self.stands
        self._pass_over()
        self._move(wanted, ())

    def tick(self, now_s):
        """Let the schedule move the relay; `now_s` in Unix seconds, None when the time is unknown."""
        wanted = None if now_s is None else scheduled(self.rules, now_s)
        if wanted is not None and wanted != self.is_on:
            self._move(wanted, self.rules)

    def follow(self, asked):
        """Let a window move the relay: (end_s, is_on) while one runs, otherwise None."""
        if asked is not None and asked[0] <= self._passed_s:
            asked = None
        if asked != self._asked:
            before, self._asked = self.stands, asked
            if self.stands != before:
                self._switch(self.stands)

    def _pass_over(self):
        if self._asked is not None:
            self._passed_s, self._asked = self._asked[0], None

    def _consider(self, data):
        if len(data) > SIZE_MAX:
            return TOO_LARGE
        try:
            kid, payload, signature = cose.parse1(data)
            device, counter, action = _parse(payload)
        except ValueError:
            return MALFORMED
        if self._public_key is None or kid != cose.key_hint(self._public_key):
            return UNKNOWN_KEY
        if device != self._device:
            return WRONG_DEVICE
        if self._cell.is_lost:
            return COUNTER_LOST
        if counter <= self.counter:
            return REPLAYED if counter == self.counter else STALE
        if not ed25519.verify(self._public_key, cose.to_be_signed(payload, self._aad), signature):
            return BAD_SIGNATURE
        return self._do(counter, action)

    def _do(self, counter, action):
        is_on, rules = (action[1], ()) if action[0] == _RELAY else (self.is_on, action[1])
        try:
            self._cell.write(_record(counter, is_on, rules))
        except OSError:
            return UNWRITTEN
        self.counter, self.is_on, self.rules = counter, is_on, rules
        if action[0] == _RELAY:
            self._pass_over()
        self._switch(self.stands)
        return 0

    def _move(self, is_on, rules):
        """A person or the schedule moves the relay even if flash fails; a lost counter stays lost."""
        self.is_on, self.rules = is_on, rules
        self._switch(self.stands)
        if self._cell.is_lost:
            return
        try:
            self._cell.write(_record(self.counter, is_on, rules))
        except OSError:
            self.unwritten += 1

    def _restore(self):
        """(counter, is_on, rules) of the cell; a device that knows nothing supplies its load."""
        if self._cell.value is None:
            return 0, True, ()
        counter, is_on, rules = cbor.decode(self._cell.value)
        return counter, is_on, tuple([tuple(rule) for rule in rules])


def scheduled(rules, now_s):
    """What the rules say for this time: the newest rule of the past week counts; None without rules."""
    day, minute = now_s // 86400, now_s // 60 % _MINUTES_OF_DAY
    weekday = (day + _EPOCH_WEEKDAY) % _DAYS_OF_WEEK
    newest = None
    for days, at, is_on in rules:
        for age in range(_DAYS_OF_WEEK + 1):
            if days >> (weekday - age) % _DAYS_OF_WEEK & 1 and (age > 0 or at <= minute):
                age_min = age * _MINUTES_OF_DAY + minute - at
                if newest is None or age_min < newest[0]:
                    newest = (age_min, is_on)
                break
    return None if newest is None else newest[1]


def _record(counter, is_on, rules):
    return cbor.encode([counter, is_on, [list(rule) for rule in rules]])


def _parse(payload):
    """(device, counter, action); ValueError unless it is a command."""
    value = cbor.decode(payload)
    if not isinstance(value, list) or len(value) != 4 or not _is_uint(value[0], _VERSION) or value[0] != _VERSION:
        raise ValueError("not a command")
    _version, device, counter, action = value
    if not isinstance(device, bytes) or len(device) != 16 or not _is_uint(counter, _COUNTER_MAX):
        raise ValueError("not a command")
    return device, counter, _action(action)


def _action(action):
    if not isinstance(action, list) or len(action) != 2 or not _is_uint(action[0], _SCHEDULE):
        raise ValueError("not an action")
    kind, argument = action
    if kind == _RELAY and isinstance(argument, bool):
        return kind, argument
    if kind != _SCHEDULE or not isinstance(argument, list) or len(argument) > RULES_MAX:
        raise ValueError("not an action")
    return kind, tuple([_rule(rule) for rule in argument])


def _rule(rule):
    if not isinstance(rule, list) or len(rule) != 3:
        raise ValueError("not a rule")
    days, minute, is_on = rule
    if (
        not _is_uint(days, 127)
        or days == 0
        or not _is_uint(minute, _MINUTES_OF_DAY - 1)
        or not isinstance(is_on, bool)
    ):
        raise ValueError("not a rule")
    return days, minute, is_on


def _is_uint(value, largest):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest
