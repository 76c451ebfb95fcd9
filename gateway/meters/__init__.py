"""Meters that the gateway reads itself: what their tables say, the buses they sit on, and the blocks they make."""
