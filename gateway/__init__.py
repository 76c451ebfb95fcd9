"""The gateway: from meters and devices to signed batches at the broker, losing nothing that it acknowledged."""
