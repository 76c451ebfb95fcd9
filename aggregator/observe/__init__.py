"""What others see of a running aggregator: people, monitors and Prometheus."""
