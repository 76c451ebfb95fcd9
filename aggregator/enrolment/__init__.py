"""From a label on a device to its admission: labels the commune knows, claims that arrive, and the steward's word."""
