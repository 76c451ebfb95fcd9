"""Blocks: consecutive readings of one device, signed once. Bytes and limits: docs/spec/block.cddl.

A sample is (time_s, registers): Unix seconds on a multiple of the step, and a tuple of (quantity, wh) with ascending
quantities. A block is made of samples that follow each other without a gap, each register growing or standing still.
"""

from node import cbor, cose
from node.port import const

SIGNED_SIZE_MAX = 1024
AAD = cose.external_aad("block")
FIRST_LINK = bytes(16)
FLAG_POWER_LOST = 1

_VERSION = const(1)
_CHANNELS_MAX = const(8)
_GROWTH_MAX = 1 << 32
# RFC 8746: tag of a little-endian typed array and bytes per element, narrowest first.
_TYPED = ((64, 1), (69, 2), (70, 4))


def is_sample(sample, step_s):
    """Whether a sample can stand in a block at all."""
    time_s, registers = sample
    quantities = [quantity for quantity, _wh in registers]
    return (
        time_s >= 0
        and time_s % step_s == 0
        and 1 <= len(quantities) <= _CHANNELS_MAX
        and all(0 <= quantity < 256 for quantity in quantities)
        and all(low < high for low, high in zip(quantities, quantities[1:]))  # noqa: B905 MicroPython's zip is not strict
        and all(0 <= wh < 1 << 63 for _quantity, wh in registers)
    )


def follows(last, sample, step_s):
    """Whether `sample` may stand right after `last` in one block: no reading missed, no register backwards."""
    return (
        sample[0] == last[0] + step_s
        and len(sample[1]) == len(last[1])
        and all(
            new[0] == old[0] and 0 <= new[1] - old[1] < _GROWTH_MAX
            for old, new in zip(last[1], sample[1])  # noqa: B905
        )
    )


def payload(seq, prev, step_s, flags, samples):
    """The bytes that are signed, for one or more samples of which each follows the one before."""
    channels = []
    for index, (quantity, base_wh) in enumerate(samples[0][1]):
        registers_wh = [registers[index][1] for _time_s, registers in samples]
        growth_wh = [registers_wh[i + 1] - registers_wh[i] for i in range(len(registers_wh) - 1)]
        channels.append([quantity, base_wh, _typed_array(growth_wh)])
    return cbor.encode([_VERSION, seq, prev, samples[0][0], step_s, flags, channels])


def fits(seq, step_s, samples):
    """Whether a block of these samples stays within the signed size."""
    return len(payload(seq, FIRST_LINK, step_s, 0, samples)) + cose.OVERHEAD <= SIGNED_SIZE_MAX


def _typed_array(values):
    largest = max(values) if values else 0
    for tag, size in _TYPED:
        if largest < 1 << (8 * size):
            return cbor.Tag(tag, b"".join([value.to_bytes(size, "little") for value in values]))
    raise ValueError("growth beyond 32 bits")
