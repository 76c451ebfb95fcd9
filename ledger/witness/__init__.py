"""Witnesses: who co-signs a checkpoint after seeing that the log only grew, and which of them must."""
