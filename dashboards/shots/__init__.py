"""Pictures of every dashboard: Grafana's components in a real browser, queries answered by a real InfluxDB."""
