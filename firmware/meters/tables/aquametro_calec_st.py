"""Aquametro CALEC ST. Made from hardware/meters/aquametro-calec-st.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 3000000,
    "energy": (
        (3, 0x0064, "f32", "big", 1000, 1, ()),
    ),
}
