"""Grafana dashboards and alert rules as code: one module a dashboard, every query in `queries`, one look for all."""
