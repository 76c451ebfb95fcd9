"""Publishes the claim that the set-up signed (docs/spec/command.cddl) on cw/<device>/claim.

Retained and told again on every connection, so whoever passes it on may come later. The commune takes it once.
"""

from node.port import const, sleep_ms

_LOOK_MS = const(1000)


async def announce(link, device, signed):
    """Tell it for ever: once for each connection of `link`."""
    told = 0
    while True:
        if link.is_up and link.connects != told:
            connection = link.connects
            if await link.publish("cw/%s/claim" % device, signed, True):
                told = connection
        await sleep_ms(_LOOK_MS)
