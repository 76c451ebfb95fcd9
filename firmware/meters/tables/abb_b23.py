"""ABB B23 (silver or better, Modbus). Made from hardware/meters/abb-b23.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 48750,
    "energy": (
        (1, 0x5000, "u64", "big", 10, 1, ("ffffffffffffffff",)),
        (2, 0x5004, "u64", "big", 10, 1, ("ffffffffffffffff",)),
    ),
}
