"""The parts that a configuration may switch on: control of a relay, updates, Home Assistant. Wired here, not in main.

    control        {"public_key", "genesis_sha256"}          hex; the commune's command key
    update         {"public_key", "genesis_sha256", "url", "minutes", "every_s"}
    requests       {"public_key", "genesis_sha256", "relay"} hex; the aggregator's key; whether windows move the relay
    homeassistant  {"prefix", "every_s"}                      both optional
    claim          hex                                        made by the set-up if an account was told

A part whose configuration is wrong is left out and named in `broken`: metering goes on without it. A relay supplies
its load also where `control` is missing or wrong: then only the button moves it.
"""

from node.port import const, sleep_ms

_TICK_MS = const(1000)


class Services:
    """What `config` asks for, on `board`; `attach` gives it the link before `runs` is asked."""

    def __init__(self, config, board, civil, tap):
        self._config = config
        self._board = board
        self._civil = civil
        self._tap = tap
        self.broken = []
        self.control = self.update = self.homeassistant = self.claim = self.requests = None
        self.topics = []
        topic = "cw/" + config["device"] + "/cmd"
        self._asked_topic = "cw/" + config["device"] + "/asked"
        if board.has_relay(config):
            self._make("control")
            if self.control is None:
                self.control = self._uncommanded()
            self.topics.append(topic)
        self._make("requests")
        if self.requests:
            self.topics.append(self._asked_topic)
        self._make("update")
        self._make("claim")

    def attach(self, link):
        """Now there is a link."""
        self._link = link
        self._make("homeassistant")
        return self

    def on_message(self, topic, payload):
        """Whether a message was for one of us."""
        if topic not in self.topics:
            return False
        if topic == self._asked_topic:
            self.requests.take(payload)
        else:
            self.control.obey(payload)
        return True

    def runs(self, is_delivering, restart):
        """Coroutines to run for ever; `is_delivering()`: whether the gateway has taken what we have.

        `restart()` ends this image so that another one runs.
        """
        runs = []
        if self.control:
            runs.append(self._tick())
        if self.update:
            from node import fetch, update

            settings = self._config["update"]
            minutes = settings.get("minutes", 30)
            runs.append(update.prove(self.update, lambda: self._is_well(is_delivering), minutes, restart))
            if "url" in settings:
                runs.append(fetch.updates(settings, self.update, self._board.random, restart))
        if self.homeassistant:
            runs.append(self.homeassistant.run())
        if self.claim:
            from node import claiming

            runs.append(claiming.announce(self._link, self._config["device"], self.claim))
        return runs

    def describe(self):
        """What a person is told, flat; only of parts that are on."""
        state = {"broken": self.broken} if self.broken else {}
        if self.control:
            state["relay_on"] = self.control.stands
            state["relay_unwritten"] = self.control.unwritten
            state["command"] = self.control.counter  # of the last one obeyed: its commander need not send it again
            state["commands_obeyed"] = self.control.obeyed
            state["commands_refused"] = {str(reason): count for reason, count in self.control.refused.items()}
        if self.requests:
            state.update(self.requests.state(self._now_s()))
        if self.update:
            state["version"] = self.update.number
            state["on_trial"] = self.update.is_trial
            state["updates_refused"] = {str(reason): count for reason, count in self.update.refused.items()}
            state["updates_unfetched"] = self.update.unfetched
            state["rollbacks"] = self.update.rollbacks
        return state

    def _is_well(self, is_delivering):
        return self._link.is_up and self._tap.reads > 0 and is_delivering()

    async def _tick(self):
        while True:
            now_s = self._now_s()
            self.control.tick(now_s)
            if self.requests and self.requests.moves_relay:
                ask = self.requests.now(now_s)
                self.control.follow(ask and (ask[1], not ask[2]))
            await sleep_ms(_TICK_MS)

    def _now_s(self):
        return self._civil.now_s() if self._civil.synchronised else None

    def _make(self, name):
        settings = self._config.get(name)
        if settings is None:
            return
        try:
            setattr(self, name, getattr(self, "_make_" + name)(settings))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.broken.append(name)

    def _make_control(self, settings):
        from node.cell import Cell
        from node.command import Control

        public_key, genesis = _keys(settings)
        cell = Cell(self._board.blocks(self._config, "control"))
        device = bytes.fromhex(self._config["device"])
        return Control(cell, device, public_key, genesis, self._board.switch(self._config))

    def _make_requests(self, settings):
        from node.asked import Asked

        public_key, genesis = _keys(settings)
        moves_relay = settings.get("relay", False)
        if not isinstance(moves_relay, bool):
            raise ValueError("relay is true or false")
        return Asked(public_key, genesis, moves_relay)

    def _uncommanded(self):
        """A relay that nobody may command: on, or where it stood if flash remembers."""
        from node.cell import Cell, Forgetful
        from node.command import Control

        switch = self._board.switch(self._config)
        try:
            return Control(Cell(self._board.blocks(self._config, "control")), b"", None, b"", switch)
        except (OSError, ValueError, TypeError):
            return Control(Forgetful(), b"", None, b"", switch)

    def _make_update(self, settings):
        from node.cell import Cell
        from node.update import Update

        public_key, genesis = _keys(settings)
        cell = Cell(self._board.blocks(self._config, "update"))
        slots = self._board.slots(self._config)
        return Update(cell, slots, self._config["board"], self._board.VERSION, public_key, genesis)

    def _make_homeassistant(self, settings):
        from node.cell import Cell
        from node.homeassistant import HomeAssistant

        # 16 blocks, written every five minutes: on raw flash each would be erased 6,600 times a year, of 100,000.
        cell = Cell(self._board.blocks(self._config, "totals", 16))
        return HomeAssistant(settings, self._config["device"], self._tap, self._link, cell)

    def _make_claim(self, settings):
        return bytes.fromhex(settings)


def _keys(settings):
    """(public key, genesis hash); ValueError unless both have 32 bytes."""
    keys = bytes.fromhex(settings["public_key"]), bytes.fromhex(settings["genesis_sha256"])
    if len(keys[0]) != 32 or len(keys[1]) != 32:
        raise ValueError("a key and a hash have 32 bytes")
    return keys
