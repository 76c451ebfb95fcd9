"""Proofs: the file by which someone shows an entry of theirs, made and checked offline."""
