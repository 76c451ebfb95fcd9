"""Janitza UMG 96RM. Made from hardware/meters/janitza-umg96rm.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 187500,
    "energy": (
        (1, 0x4A7C, "f32", "big", 1, 1, ()),
        (2, 0x4A84, "f32", "big", 1, 1, ()),
    ),
}
