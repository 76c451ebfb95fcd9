"""What others see of a running gateway: people, Prometheus, Home Assistant, systemd and the log."""
