"""Readings in, credits out: verify, keep as evidence, settle, value, and hand mints to the ledger."""
