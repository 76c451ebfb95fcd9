"""The box and its line: meters on one pair and a reference conductor, the pair ended at both ends. No mains here."""

import schemdraw
import schemdraw.elements as elm
from schemdraw import flow

schemdraw.use("svg")
schemdraw.config(margin=0.8)


def drawing() -> schemdraw.Drawing:
    """The whole schematic."""
    d = schemdraw.Drawing(show=False, fontsize=11)
    pi = d.add(flow.Box(w=3.6, h=2.2).label("U1\nRaspberry Pi"))
    d += flow.Line().at(pi.W).left(1.4).label("5 V", "top")
    d += flow.Box(w=2.6, h=1.4).anchor("E").label("PS1\n5 V 3 A")
    d += flow.Line().at(pi.N).up(1.2)
    d += elm.Label().at((pi.N[0] + 1, pi.N[1] + 0.5)).label("network")
    d += flow.Box(w=3, h=1.2).anchor("S").label("NET1  router")
    d += flow.Line().at(pi.E).right(1.4).label("USB", "top")
    adapter = d.add(flow.Box(w=3, h=2.2).anchor("W").label("U2\nRS-485\nisolated"))
    d += flow.Line().at(pi.S).down(1.2)
    d += elm.Label().at((pi.S[0] + 0.5, pi.S[1] - 0.7)).label("I²C")
    d += flow.Box(w=3, h=1.2).anchor("N").label("U4  clock")
    x, y = adapter.E
    for offset, name in ((0.5, "+"), (-0.5, "−"), (-1, "0V")):
        d += elm.Line().at((x, y + offset)).to((x + 11, y + offset))
        d += elm.Label().at((x + 0.3, y + offset + 0.2)).label(name)
    for place, label in ((1.4, "R1\n120 Ω"), (11, "R1\n120 Ω")):
        d += (
            elm.Resistor()
            .at((x + place, y + 0.5))
            .to((x + place, y - 0.5))
            .scale(0.6)
            .label(label, "bottom", ofst=0.2)
        )
    for place, label in ((4.2, "M1\naddress 1"), (8.2, "M2\naddress 2")):
        for shift, offset in ((-0.6, 0.5), (0, -0.5), (0.6, -1)):
            d += elm.Dot().at((x + place + shift, y + offset))
            d += elm.Line().at((x + place + shift, y + offset)).to((x + place + shift, y - 2.2))
        d += flow.Box(w=2.6, h=1.6).at((x + place, y - 2.2)).anchor("N").label(label)
    return d
