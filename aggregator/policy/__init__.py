"""The rules that turn energy into credits: read, explained, compared, and tried on the past before a vote."""
