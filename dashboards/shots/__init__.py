"""Pictures of every dashboard: Grafana's own components in a real browser, asked queries answered by a real InfluxDB."""
