"""The grid operator's room: what was asked of homes and what came of it, further requests, and the way to Grafana."""
