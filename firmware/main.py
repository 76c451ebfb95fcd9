"""The device: measure, sign, journal, deliver.

micropython firmware/main.py CONFIG.json             run
micropython firmware/main.py CONFIG.json --identity  make the key if there is none, print who it is for its commune
"""

import asyncio
import gc
import json
import sys

import board
from node import button, identity, settings
from node.port import sleep_ms

# Collect after this much garbage: a small heap in use stays in the cache, which makes signing 1.6 times as fast.
GARBAGE_MAX = 65536

_SET_UP_MINUTES = 10
_LOOK_MS = 200
_DAY_MS = 86400000


async def live(device, config, path):
    """Run until the power goes, or a person holds the button."""
    await asyncio.gather(_connected(device, config, path), *device.metering())


async def _connected(device, config, path):
    """The network, until the button asks for another one; metering goes on meanwhile."""
    network = asyncio.create_task(_together(device.network()))
    is_down = board.button(config)
    if is_down is None:
        await network
    control = device.services.control
    held = asyncio.create_task(button.until_held(is_down, control.toggle if control else _nothing))
    while not held.done():
        if network.done():
            await network  # what ended it ends us
        await sleep_ms(_LOOK_MS)
    from node import setup

    if await held == button.RESET:
        setup.forget(config)
    else:
        network.cancel()
        await sleep_ms(_LOOK_MS)  # for its connections to close
        await setup.run(board, path, _SET_UP_MINUTES)
    board.restart()


async def _together(runs):
    await asyncio.gather(*runs)


def _nothing():
    """What a button toggles where there is no relay."""


def set_up_if_needed(path):
    """Let a person tell a device its network, if it has none yet and its board can ask; whether it was told."""
    config = settings.read(path)
    if settings.is_complete(config, board.WIFI):
        return False
    from node import setup  # only a device that is not set up has room and need for it

    if not setup.needed(config, board):
        return False
    setup.supply(board, config)
    asyncio.run(setup.run(board, path))  # ends with a complete configuration in flash
    return True


def main(arguments):
    """Read the configuration and run; 2 if the arguments or the configuration are not what they should be."""
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
        if arguments[1:]:
            return _introduce(config)
        if hasattr(gc, "threshold"):
            gc.threshold(GARBAGE_MAX)
        from node.wiring import Device  # here: the set-up needs the room, and then there is a restart

        gc.collect()
        board.seed_random()
        device = Device(config, board)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ImportError) as error:
        print("cannot start:", error)
        return 2
    except Exception as error:  # no room, or our own mistake: five of them lead to safe mode
        sys.print_exception(error)
        board.restart()
    try:
        asyncio.run(live(device, config, arguments[0]))
    except KeyboardInterrupt:
        board.watchdog(_DAY_MS)  # somebody is at the prompt
        raise
    except Exception as error:
        sys.print_exception(error)
        device.health.crashed(error)
        board.restart()
    return 0


def _introduce(config):
    """Print who the device is, with the key that is made if there is none."""
    from node import provision

    key = identity.load_or_make(config["state_dir"] + "/key", board.urandom)
    print(json.dumps(provision.identity(config, key, board.urandom)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
