"""Hager ECR380D. Made from hardware/meters/hager-ecr380d.toml; not edited by hand."""

# fmt: off
# ruff: noqa: E501
TABLE = {
    "function": 3,
    "registers_max": 64,
    "power_max_w": 60000,
    "energy": (
        (1, 0xB060, "u32", "big", 1000, 1, ("ffffffff",)),
        (2, 0xB064, "u32", "big", 1000, 1, ("ffffffff",)),
    ),
}
