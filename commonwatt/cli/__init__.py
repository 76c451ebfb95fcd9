"""The command `commonwatt`: finds each part by entry point and imports only the one asked for."""
