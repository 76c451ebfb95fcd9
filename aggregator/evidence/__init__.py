"""Blocks kept as they were received: written once, read by device and time, by id or by hash."""
