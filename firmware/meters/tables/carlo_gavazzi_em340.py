"""Carlo Gavazzi EM340. Made from hardware/meters/carlo-gavazzi-em340.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 4,
    "registers_max": 64,
    "power_max_w": 48750,
    "energy": (
        (1, 0x0034, "i32", "little", 100, 1, ("7fffffff", "80000000",)),
        (2, 0x004E, "i32", "little", 100, 1, ("7fffffff", "80000000",)),
    ),
}
