"""From registers to claims, one interval of fifteen minutes after the other."""
