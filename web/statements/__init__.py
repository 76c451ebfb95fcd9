"""A month of an account on one sheet of paper."""
