"""Brings dashboards, alert rules and what they need to a Grafana that somebody has, by its HTTP API."""
