"""Meters: those that members claimed, one meter's standing, and its replacement."""
