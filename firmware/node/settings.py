"""The device's configuration: device.json, and over it what a person told in the set-up, STATE_DIR/config."""

import json

REQUIRED = ("device", "broker", "state_dir", "step_s", "block_readings", "meter", "retry_ms_max")


def read(path):
    """The configuration as a dict; None if there is no device.json at `path`, or one that is damaged."""
    config = _load(path)
    if config is not None and isinstance(config.get("state_dir"), str):
        config.update(_load(told_path(config)) or {})  # damaged is as good as none: the set-up asks again
    return config


def told_path(config):
    """Where the set-up keeps what it was told."""
    return config["state_dir"] + "/config"


def is_complete(config, needs_wifi=False):
    """Whether nothing is missing that every device needs; None is no configuration."""
    if config is None or not all(name in config for name in REQUIRED):
        return False
    return "host" in config["broker"] and ("wifi" in config or not needs_wifi)


def _load(path):
    try:
        with open(path) as file:
            config = json.load(file)
    except (OSError, ValueError):
        return None
    return config if isinstance(config, dict) else None
