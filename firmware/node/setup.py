"""The set-up: a person tells a new device its network and its gateway, or a device whose button was held for it.

    access point "Commonwatt-1A2B", password: the label's code ─▶ the page (portal.py), found by any name (dns.py)
    USB cable ─▶ Improv (improv.py): the Wi-Fi; what is missing then the page asks for in the home's network

Both run at once; whoever tells first is tried first. What was told is kept only when the network and the gateway took
us, in STATE_DIR/config, over what device.json says:

    {"device", "wifi": {"ssid", "password"}, "broker": {"host", "port", "username", "password"}, "account", "claim"}

`claim` is signed here, in hexadecimal, if an account was told; node/claiming.py publishes it.

How it ends, and what is then true:
 1. The network does not take us, or the gateway is not there or refuses us: nothing is kept, the page says which, and
    Improv tells of the network. The set-up goes on, and remembers a network that took us.
 2. Flash fails: the page says so; it is tried again when the form comes again.
 3. Cut at any moment before the file is complete: the next start is as this one was.
 4. Nobody comes within `minutes`: everything is closed, nothing was changed.
"""

import asyncio

from node import cbor, dns, identity, link, provision, settings
from node.cell import Cell
from node.improv import Improv
from node.port import const, sleep_ms, ticks_diff, ticks_ms, wait_event_ms
from node.portal import Portal
from node.wifi import joins

_JOIN_LOOK_MS = const(500)
_GATEWAY_MS = const(15000)
_FAILURES_MAX = const(2)
_LOOK_MS = const(50)
_ANSWERED_MS = const(2000)  # for the page to reach the phone before the radio turns to the home's network
_INTERRUPT = b"\r\x03"  # how mpremote asks for the prompt; MicroPython itself must not look for it: Improv has 03 too
_PERSON_TELLS = ("device", "broker")  # of settings.REQUIRED; the rest comes with the firmware


def needed(config, board):
    """Whether a person has to tell this device something; False too if nothing a person tells would complete it."""
    if config is None or not all(name in config for name in settings.REQUIRED if name not in _PERSON_TELLS):
        return False
    return not settings.is_complete(config, board.WIFI)


async def run(board, path, minutes=None):
    """Set the device up; the complete configuration, kept on return, or None if nobody came within `minutes`.

    `board` has WIFI, radio(config) and cable() as firmware/board.py says. OSError: no radio, or no room for a label.
    ValueError: the label's file is damaged.
    """
    config = settings.read(path)
    board.make_folder(config["state_dir"])
    device, code = provision.label(provision.label_path(config), board.urandom, config.get("device"))
    setup = _SetUp(board, config, device, code)
    try:
        return await setup.run(minutes)
    finally:
        await setup.close()


def supply(board, config):
    """Put the relay, where there is one, where it stood, or on: a load does not wait for a person with a phone."""
    if board.has_relay(config):
        board.make_folder(config["state_dir"])
        board.switch(config)(_stood(board, config))


def _stood(board, config):
    """What node/command.py kept; a device that knows nothing supplies its load."""
    try:
        value = Cell(board.blocks(config, "control")).value
        return value is None or cbor.decode(value)[1] is not False
    except (OSError, ValueError, TypeError, IndexError):
        return True


def forget(config):
    """The factory reset: what a person told is forgotten, so the next start opens the set-up."""
    provision.forget_owner(settings.told_path(config))


class _SetUp:
    """One opening of the set-up."""

    def __init__(self, board, config, device, code):
        self._board = board
        self._config = config
        self._device = device
        self._code = code
        self._known = {"wifi": config.get("wifi", {}), "broker": config.get("broker", {})}
        self._wanted = None  # what is to be tried next
        self._is_cable = False  # whether that came by Improv
        self._is_busy = False
        self._came = asyncio.Event()
        self._tasks = []
        self._server = None
        self._radio = board.radio(config)
        self._cable = board.cable()
        name = "Commonwatt-" + device[:4].upper()
        self._name = name
        self._portal = Portal(name, self._tell, self._known, board.WIFI)
        info = ["Commonwatt", str(board.VERSION), str(config.get("board", "")), name]
        self._improv = Improv(self._join, self._cable.write, info, "wifi" in config)

    async def run(self, minutes):
        """Open everything and try what is told until it is good."""
        begun = ticks_ms()
        address = self._radio.open(self._name, self._code)
        self._server = await asyncio.start_server(self._portal.serve, "0.0.0.0", self._radio.http_port)
        self._tasks.append(asyncio.create_task(self._listen()))
        if self._radio.dns_port:
            self._tasks.append(asyncio.create_task(dns.serve(address, self._radio.dns_port)))
        while True:
            left_ms = None if minutes is None else minutes * 60000 - ticks_diff(ticks_ms(), begun)
            if left_ms is not None and left_ms <= 0:
                return None
            await wait_event_ms(self._came, left_ms)
            if self._wanted is not None:
                owner = self._wanted
                words = await self._try(owner)
                if words is None:
                    config = dict(self._config)
                    config.update(owner)
                    return config
                self._portal.words, self._wanted, self._is_cable = words, None, False

    async def close(self):
        """Close what was opened. The network is left: whoever comes next joins it in his own way."""
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        self._cable.close()
        self._radio.leave()
        self._radio.close()

    def _tell(self, fields):
        """The page's form came."""
        if self._wanted is not None:
            raise ValueError("The meter still tries what it was told. Come back in a minute.")
        self._want(provision.owner_of(fields, self._code, self._known, self._board.WIFI))

    def _join(self, ssid, password):
        """Improv told a network."""
        if self._wanted is not None:
            self._improv.joined(None)
            return
        self._is_cable = True
        self._want(dict(self._known, wifi={"ssid": ssid, "password": password}))

    def _want(self, owner):
        self._wanted = owner
        self._portal.words = "The meter tries what it was told. Come back in a minute."
        self._came.set()

    async def _try(self, owner):
        """None when all of it is good and kept; otherwise what to tell the person."""
        for _ in range(_ANSWERED_MS // _LOOK_MS):
            if not self._portal.open:
                break
            await sleep_ms(_LOOK_MS)
        self._radio.leave()
        is_up = not self._board.WIFI or await joins(self._radio, owner["wifi"], _JOIN_LOOK_MS)
        if self._is_cable:
            self._improv.joined(self._url() if is_up else None)
        if not is_up:
            return "The network does not take the meter. Are its name and password right?"
        self._known["wifi"] = owner["wifi"]
        if "host" not in owner["broker"]:
            return "The meter is in your network. Now tell it its gateway."
        owner["device"] = self._device
        port = provision.MQTTS_PORT if "tls" in owner["broker"] else provision.MQTT_PORT
        owner["broker"] = dict({"port": port, "username": self._device}, **owner["broker"])
        return await self._greet(owner["broker"]) or self._keep(owner)

    async def _greet(self, broker):
        """Connect to the gateway's broker once; None if it takes us."""
        to = link.Link(broker, self._device, ["cw/%s/ack" % self._device], _ignore, _ignore, self._board.random)
        task = asyncio.create_task(to.run())
        begun = ticks_ms()
        while not to.is_up and to.failures < _FAILURES_MAX and ticks_diff(ticks_ms(), begun) < _GATEWAY_MS:
            await sleep_ms(_LOOK_MS)
        is_up = to.is_up
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass
        if is_up:
            return None
        if link.REFUSED in to.reasons:
            return "The gateway refuses meter %s. Does it know it, and is its password right?" % self._device
        if link.TLS in to.reasons:
            return "The gateway shows a certificate that is not the commune's."
        return "The gateway does not answer. Is its address right?"

    def _keep(self, owner):
        try:
            if "account" in owner:
                key = identity.load_or_make(self._config["state_dir"] + "/key", self._board.urandom)
                owner["claim"] = provision.claim(key, self._device, self._code, owner["account"]).hex()
            provision.save_owner(settings.told_path(self._config), owner)
        except (OSError, ValueError):  # no room, or a key file that is damaged
            return "The meter cannot keep this: its memory fails. Tell it once more."
        return None

    def _url(self):
        """Where a browser goes on after Improv; nowhere if nothing is missing."""
        if "host" in self._known["broker"]:
            return ""
        port = "" if self._radio.http_port == 80 else ":%d" % self._radio.http_port
        return "http://" + self._radio.address() + port + "/"

    async def _listen(self):
        """Hear the cable, byte by byte: a chip's console waits for as many as it is asked for."""
        before = b""
        while True:
            data = await self._cable.read()
            if not data:
                return
            if before + data == _INTERRUPT and not self._improv.is_hearing:
                self._cable.close()
                raise KeyboardInterrupt
            before = data
            self._improv.feed(data)


def _ignore(*_):
    """What the gateway says in the set-up is said again later."""
