"""What leaves for dashboards, never in the way of the money."""
