"""Held spans before a steward: which wait and why, and what is decided of them."""
