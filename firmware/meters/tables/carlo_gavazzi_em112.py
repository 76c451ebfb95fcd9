"""Carlo Gavazzi EM112. Made from hardware/meters/carlo-gavazzi-em112.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 4,
    "registers_max": 64,
    "power_max_w": 25000,
    "energy": (
        (1, 0x0010, "i32", "little", 100, 1, ("7fffffff", "80000000",)),
        (2, 0x0020, "i32", "little", 100, 1, ("7fffffff", "80000000",)),
    ),
}
