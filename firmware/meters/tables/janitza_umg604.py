"""Janitza UMG 604. Made from hardware/meters/janitza-umg604.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 187500,
    "energy": (
        (1, 0x267B, "f32", "big", 1, 1, ()),
        (2, 0x2687, "f32", "big", 1, 1, ()),
    ),
}
