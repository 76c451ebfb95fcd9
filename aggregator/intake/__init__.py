"""Batches in, evidence kept, receipts out: stages with a name each."""
