"""What everyone may see of a commune: its energy and money as totals, its log and witnesses, its open data."""
