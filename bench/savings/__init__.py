"""Forty real homes, four weeks to learn from and three to judge: what the savings rule credits when nobody saves, and
how much of a saving that was put in it finds."""
