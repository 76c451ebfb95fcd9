"""What a shop does with its takings: daily closings, and books for its accountant."""
