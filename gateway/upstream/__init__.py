"""The way to the aggregator: batches out, receipts and registries back."""
