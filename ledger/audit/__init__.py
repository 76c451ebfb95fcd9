"""Whoever does not believe us: verify, mirror and export what is published, without the store."""
