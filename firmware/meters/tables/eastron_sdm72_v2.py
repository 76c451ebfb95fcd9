"""Eastron SDM72D-M-2. Made from hardware/meters/eastron-sdm72-v2.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 4,
    "registers_max": 80,
    "power_max_w": 75000,
    "energy": (
        (1, 0x0048, "f32", "big", 1000, 1, ()),
        (2, 0x004A, "f32", "big", 1000, 1, ()),
    ),
}
