"""From claims to mints: what they are worth, and the outbox to the ledger."""
