"""The money of a commune as a whole: how much there is, what stands behind it, how it moves, and the euros."""
