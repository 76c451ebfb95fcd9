"""What all parts of Commonwatt share: units, formats, keys, clocks and the command."""

__version__ = "0.1.0"
