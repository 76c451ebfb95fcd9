"""What may be told of many without telling of one: statistics, public totals, and the rule they both keep."""
