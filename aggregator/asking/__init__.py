"""The operator's requests: taken on HTTP as the operator signed them, and told to gateways for their devices."""
