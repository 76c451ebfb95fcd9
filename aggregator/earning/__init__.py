"""What claims come to by a policy: rates by the time of day, grades of trust, caps; and what earns beside energy."""
