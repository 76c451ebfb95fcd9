"""/me: what somebody may change about themselves, in sections that rooms bring along."""
