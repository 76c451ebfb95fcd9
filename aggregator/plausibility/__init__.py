"""What makes a measurement hard to believe. Nothing is refused for it: the claim waits until a person has looked."""
