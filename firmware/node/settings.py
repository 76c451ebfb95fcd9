"""The device's configuration, device.json: whether there is one, and whether it says all that a device needs."""

import json

REQUIRED = ("device", "broker", "state_dir", "step_s", "block_readings", "meter", "retry_ms_max")


def read(path):
    """The configuration as a dict; None if there is no file, or one that is damaged."""
    try:
        with open(path) as file:
            config = json.load(file)
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None


def is_complete(config):
    """Whether nothing is missing that every device needs; None is no configuration."""
    return config is not None and all(name in config for name in REQUIRED)
