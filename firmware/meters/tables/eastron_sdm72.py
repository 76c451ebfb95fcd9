"""Eastron SDM72D-M (first version). Made from hardware/meters/eastron-sdm72.toml; not edited by hand."""

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
