"""What comes over wires: frames of chips, Modbus RTU, Linky's TIC. Bytes in, values out, noise counted."""
