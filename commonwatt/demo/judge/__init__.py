"""The demo's judge: it recomputes everything from the registers, the evidence and the published log, naively.

It shares no code with what it judges: entries, blocks, signatures and trees are read here again with cbor2,
PyNaCl and hashlib, from docs/spec alone. Slow and plain on purpose.
"""
