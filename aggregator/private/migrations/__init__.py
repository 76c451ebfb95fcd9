"""How the private store became what schema.py says."""
