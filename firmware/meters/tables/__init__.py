"""Tables of Modbus meters, made from hardware/meters by `python -m commonwatt.device.tables`; not edited by hand."""
