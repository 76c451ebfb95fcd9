"""The demo's measurements: real homes, as cumulative registers on one week of July 2024."""

from commonwatt.demo.registers.homes import DEVICES, Device, Role
from commonwatt.demo.registers.read import REGISTERS_CSV, DeviceRegisters, Row, read_registers

__all__ = ["DEVICES", "REGISTERS_CSV", "Device", "DeviceRegisters", "Role", "Row", "read_registers"]
