"""Held claims before a steward: why they wait, a picture of the time, and the decision."""
