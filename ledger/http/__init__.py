"""The ledger on HTTP: entries in, accounts and proofs out, to those who have the right."""
