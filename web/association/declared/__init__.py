"""Declared values: what members gave beside energy, with its papers, confirmed by a second person."""
