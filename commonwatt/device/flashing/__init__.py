"""From sources to a device on a serial port: build, flash, enrol, monitor."""
