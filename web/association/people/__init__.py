"""Who takes part: found by name, invited, admitted, suspended, given a new key."""
