"""Opens a bus of any kind."""

from commonwatt.clock import Protocolar
from gateway.meters.mbus_bus import MBusBus
from gateway.meters.meter import Bus
from gateway.meters.modbus_bus import ModbusBus
from gateway.meters.tic_bus import TicBus
from gateway.settings import BusSettings


def open_bus(settings: BusSettings, protocol: Protocolar) -> Bus:
    """The bus, within a running loop. It reaches for its line when a meter is first read."""
    match settings.kind:
        case "mbus-serial" | "mbus-over-tcp":
            return MBusBus(settings)
        case "tic":
            return TicBus(settings, protocol)
        case "modbus-tcp" | "modbus-rtu" | "modbus-rtu-over-tcp":
            return ModbusBus(settings)
