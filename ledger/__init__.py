"""The book: signed entries in a verifiable log, and the balances and admissions that follow from them."""
