"""The private store: who is behind the ids of the log, where they live, and what they agreed to."""
