"""The merchant's till: an amount, a code, paid; today's sales and their slips."""
