"""Energy that a home saved: what it would have used, told by homes like it, and credited at the lower bound."""
