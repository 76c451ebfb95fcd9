"""What members decide about their own data: what they agree to, a copy of all of it, and its erasure."""
