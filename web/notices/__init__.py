"""Notices: what happens to an account told at once to its owner's devices (Web Push), and once a month by e-mail."""
