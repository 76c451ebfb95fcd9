"""A commune's directory: its founding, who and what belongs to it, and whom the aggregator believes."""
