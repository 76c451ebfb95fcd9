"""A home's own energy: what it used and made by day, week, month and year, beside its past and homes like it."""
