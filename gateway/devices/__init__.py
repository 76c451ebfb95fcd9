"""Devices that sign for themselves, on the gateway's own broker."""
