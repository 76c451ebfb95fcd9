"""ESP32, isolated RS-485 transceiver, meter: the data side. Mains conductors are not drawn."""

import schemdraw
import schemdraw.elements as elm

schemdraw.use("svg")
schemdraw.config(margin=0.8)


def _box(label: str, left: list[str], right: list[str], width: float) -> elm.Ic:
    """A block with named pins, the first on top."""
    pins = [elm.IcPin(name=name, side="left", anchorname=f"l{i}") for i, name in enumerate(reversed(left))]
    pins += [elm.IcPin(name=name, side="right", anchorname=f"r{i}") for i, name in enumerate(reversed(right))]
    return elm.Ic(pins=pins, size=(width, 5), pinspacing=1.1, edgepadH=0.4).label(label, "top")


def drawing() -> schemdraw.Drawing:
    """The whole schematic."""
    d = schemdraw.Drawing(show=False, fontsize=11)
    esp = d.add(_box("U1  ESP32", ["5V", "GND"], ["3V3", "GND", "GPIO17 tx", "GPIO16 rx"], 4))
    bus = d.add(
        _box("U2  RS-485, isolated", ["VCC", "GND", "RXD", "TXD"], ["A+", "B-", "SGND"], 5).theta(0).at((7, 0))
    )
    for index in range(4):
        d += elm.Wire("-").at(getattr(esp, f"r{index}")).to(getattr(bus, f"l{index}"))
    meter = d.add(_box("M1  meter", ["A", "B", "G"], [], 2.6).theta(0).at((17, 0)))
    for index in range(3):
        d += elm.Wire("-").at(getattr(bus, f"r{index}")).to(getattr(meter, f"l{index}"))
    middle = 14.2
    d += elm.Dot().at((middle, bus.r2[1]))
    d += elm.Dot().at((middle, bus.r1[1]))
    d += elm.Resistor().at((middle, bus.r2[1])).to((middle, bus.r1[1])).scale(0.5)
    d += elm.Label().at((middle, bus.r2[1] + 0.5)).label("R1 120 Ω, at both ends")
    d += elm.Line().at(esp.l1).left(1).label("+5 V from PS1", "left")
    d += elm.Line().at(esp.l0).left(1).label("0 V from PS1", "left")
    return d
