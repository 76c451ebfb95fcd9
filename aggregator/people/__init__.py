"""Looks people and places up, changes what is known of them, and hands it out as files."""
