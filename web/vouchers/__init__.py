"""Paper money for members without a phone: one-use vouchers with a capped exposure, and the clerk who prints them."""
