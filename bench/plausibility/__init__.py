"""Faults with labels, and how well the detectors of `aggregator.plausibility` find them."""
