"""Taking back: payments that are undone, measurements that were settled and are not true. Two offices of three."""
