"""The TIC adapter: an optocoupler whose input takes both half-waves of the 50 kHz carrier, and a pull-up.

Carrier present is a 0: the transistor conducts and the line is low. No carrier is a 1: the line rests high.
"""

import schemdraw
import schemdraw.elements as elm

schemdraw.use("svg")
schemdraw.config(margin=0.8)


def drawing() -> schemdraw.Drawing:
    """The whole schematic."""
    d = schemdraw.Drawing(show=False, fontsize=12)
    opto = d.add(
        elm.Ic(
            pins=[
                elm.IcPin(name="2", side="left", anchorname="in2"),
                elm.IcPin(name="1", side="left", anchorname="in1"),
                elm.IcPin(name="emitter 3", side="right", anchorname="emitter"),
                elm.IcPin(name="collector 4", side="right", anchorname="collector"),
            ],
            size=(4, 3),
            pinspacing=1.6,
        ).label("U2  SFH620A-3", "top")
    )
    d += elm.Resistor().at(opto.in1).left(3.2).label("R1 1.2 kΩ")
    d += elm.Dot(open=True).label("I1", "left")
    d += elm.Line().at(opto.in2).left(3.2)
    d += elm.Dot(open=True).label("I2", "left")
    d += elm.Line().at(opto.collector).right(2)
    node = d.add(elm.Dot())
    d += elm.Resistor().at(node.center).up(2.6).label("R2 3.3 kΩ", "bottom")
    d += elm.Vdd().label("3V3")
    d += elm.Line().at(node.center).right(2.2)
    d += elm.Dot(open=True).label("GPIO16 rx", "right")
    d += elm.Line().at(opto.emitter).right(2)
    d += elm.Line().down(0.6)
    d += elm.Ground().label("GND of U1", "right")
    return d
