"""Entries that people are asked to sign: drafted here, signed in browsers, brought to the ledger."""
