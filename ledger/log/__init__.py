"""The Merkle tree over the entries, its signed checkpoints, and the plain files in which both are published."""
