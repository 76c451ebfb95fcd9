"""The rooms of those who run the commune: steward and town hall, and what members bring to them."""
