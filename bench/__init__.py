"""Figures beside the limits of this machine, measured in the same run: `commonwatt bench`."""
