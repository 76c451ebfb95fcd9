"""What the energy of a home or a commune did: kWh, CO2, rates, peaks; beside last week, last year, other homes."""
