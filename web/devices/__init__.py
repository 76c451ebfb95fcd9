"""A member's own meters and plugs: how they are, what is held of them, and how a new one is added by its label."""
