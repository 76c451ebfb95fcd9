"""Socomec Countis E24. Made from hardware/meters/socomec-countis-e24.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 60000,
    "energy": (
        (1, 0xC702, "u32", "big", 10, 1, ("ffffffff",)),
        (2, 0xC708, "u32", "big", 10, 1, ("ffffffff",)),
    ),
}
