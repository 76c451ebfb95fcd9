"""Who lives in the demo: a member per home, a baker, and the identifiers that a run gives them."""

from dataclasses import dataclass

from commonwatt.demo.registers.homes import DEVICES
from commonwatt.identity import new_id

BAKER = "baker"
SOLAR_HOME = "emhass"
SOLAR_METER = "emhass-solar"
GATEWAY = "cupboard"
HOMES: tuple[str, ...] = tuple(dict.fromkeys(device.home for device in DEVICES.values()))
"""Every home once, in the order of the table of devices."""


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Random ids of one run, by the names above."""

    accounts: dict[str, bytes]
    sites: dict[str, bytes]
    devices: dict[str, bytes]
    gateway: bytes

    @classmethod
    def fresh(cls) -> "Identifiers":
        """New ids for everybody."""
        return cls(
            accounts={name: new_id() for name in (*HOMES, BAKER)},
            sites={home: new_id() for home in HOMES},
            devices={name: new_id() for name in DEVICES},
            gateway=new_id(),
        )


def readers() -> list[str]:
    """The devices that run the firmware; the solar meter speaks Modbus to the gateway instead."""
    return [name for name in DEVICES if name != SOLAR_METER]
