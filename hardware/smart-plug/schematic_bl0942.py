"""Inside the Shelly Plug S Gen3: what the firmware's driver bl0942 asks. To understand, not to build or repair."""

import schemdraw
import schemdraw.elements as elm

schemdraw.use("svg")
schemdraw.config(margin=0.8)


def drawing() -> schemdraw.Drawing:
    """The metering part; every conductor drawn here is at mains potential."""
    d = schemdraw.Drawing(show=False, fontsize=11)
    left = [elm.IcPin(name=name, side="left", anchorname=name) for name in ("VP", "IN", "IP")]
    right = [elm.IcPin(name=name, side="right", anchorname=name) for name in ("RX", "TX")]
    chip = d.add(elm.Ic(pins=[*left, *right], size=(3.4, 4), pinspacing=1.3).label("BL0942", "top"))
    for anchor, label in (("TX", "GPIO6 rx of the ESP32-C3"), ("RX", "GPIO7 tx of the ESP32-C3")):
        d += elm.Line().at(getattr(chip, anchor)).right(1.2)
        d += elm.Dot(open=True).label(label, "right")
    shunt_x = chip.IP[0] - 2.2
    d += elm.Line().at(chip.IP).to((shunt_x, chip.IP[1]))
    d += elm.Dot()
    d += elm.Line().at(chip.IN).to((shunt_x, chip.IN[1]))
    d += elm.Dot()
    d += elm.Resistor().at((shunt_x, chip.IP[1])).to((shunt_x, chip.IN[1])).scale(0.6).label("shunt", "top", ofst=0.2)
    d += elm.Line().at((shunt_x, chip.IP[1])).left(2.2)
    d += elm.Dot(open=True).label("L in", "left")
    d += elm.Line().at((shunt_x, chip.IN[1])).left(2.2)
    d += elm.Dot(open=True).label("L to relay", "left")
    d += elm.Line().at(chip.VP).left(1)
    d += elm.Resistor().left(3).label("divider")
    d += elm.Dot(open=True).label("N", "left")
    return d
