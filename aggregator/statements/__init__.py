"""What people state and sign for the rules to act on: the operator's requests, values that were given and seen."""
