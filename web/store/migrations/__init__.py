"""How the store of the pages became what schema.py says."""
