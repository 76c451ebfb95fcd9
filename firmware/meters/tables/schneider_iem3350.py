"""Schneider Electric iEM3350. Made from hardware/meters/schneider-iem3350.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 93750,
    "energy": (
        (1, 0x0C83, "i64", "big", 1, 1, ("8000000000000000", "7fffffffffffffff", "ffffffffffffffff",)),
    ),
}
