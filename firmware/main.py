"""The device: measure, sign, journal, deliver.

micropython firmware/main.py CONFIG.json             run
micropython firmware/main.py CONFIG.json --identity  make the key if there is none, print who it is for its commune
"""

import asyncio
import gc
import json
import sys

import board
import meters
from node import clock, identity, settings
from node.deliver import Delivery
from node.journal import Journal
from node.link import Link
from node.recorder import Recorder
from node.report import report
from node.sample import Sampler
from node.services import Services
from node.tap import Tap

# Collect after this much garbage: a small heap in use stays in the cache, which makes signing 1.6 times as fast.
GARBAGE_MAX = 65536


def build(config, key):
    """Everything that runs, wired: the coroutines to run for ever."""
    state_dir = config["state_dir"]
    topic = "cw/" + config["device"]
    journal = Journal(state_dir + "/journal")
    wake = asyncio.Event()
    civil = clock.from_config(config.get("clock"))
    recorder = Recorder(journal, key, config["step_s"], config["block_readings"])
    tap = Tap(meters.make(config["meter"], civil, board.hardware(config)))
    sampler = Sampler(tap, civil, recorder, config["step_s"], wake.set, config.get("late_s_max"))
    services = Services(config, board, civil, tap)
    link = Link(
        config["broker"],
        config["device"],
        [topic + "/ack"] + services.topics,
        lambda to, payload: services.on_message(to, payload) or delivery.on_ack(payload),
        wake.set,
        board.random,
        retry_ms_max=config["retry_ms_max"],
        state_topic=topic + "/state",
    )
    delivery = Delivery(journal, link, topic + "/block", wake, board.random, config["retry_ms_max"])
    status = report(state_dir + "/status.json", board.write_status, journal, sampler, link, delivery, services)
    runs = services.attach(link).runs(lambda: delivery.acknowledged > 0 or not journal.backlog())
    return [sampler.run(), link.run(), delivery.run(), status, meters.serve(tap)] + runs


async def run(config, key):
    """Run until the power goes."""
    await asyncio.gather(*build(config, key))


def set_up_if_needed(path):
    """Let a person tell a device its network, if it has none yet and its board can ask; whether it was told."""
    config = settings.read(path)
    if settings.is_complete(config, board.WIFI):
        return False
    from node import setup  # only a device that is not set up has room and need for it

    if not setup.needed(config, board):
        return False
    asyncio.run(setup.run(board, path))  # ends with a complete configuration in flash
    return True


def main(arguments):
    """Read the configuration and run; 2 if the arguments or the key file are not what they should be."""
    if not 1 <= len(arguments) <= 2 or arguments[1:] not in ([], ["--identity"]):
        print("usage: main.py CONFIG.json [--identity]")
        return 2
    try:
        if not arguments[1:] and set_up_if_needed(arguments[0]):
            board.restart()  # whatever the set-up used is free again
        config = settings.read(arguments[0])
        if config is None:
            raise ValueError("no configuration: " + arguments[0])
        board.make_folder(config["state_dir"])
        key = identity.load_or_make(config["state_dir"] + "/key", board.urandom)
        if arguments[1:]:
            from node import provision

            print(json.dumps(provision.identity(config, key, board.urandom)))
            return 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        print("cannot start:", error)
        return 2
    if hasattr(gc, "threshold"):
        gc.threshold(GARBAGE_MAX)
    board.seed_random()
    asyncio.run(run(config, key))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
