"""The demo: a commune of ten homes, every process real."""
