"""Commands for corrections of what was settled: signed, confirmed by a second role, shown with what they took."""
