"""A member's own account: what it holds, what it earned and why, every movement, and the proof of each."""
