"""The rules: told in words, tried on what was measured, proposed and signed."""
