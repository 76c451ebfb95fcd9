"""What a site declared of itself, as far as its measurements can be held against it. Values only.

The facts are private (a place is an address); `declared` in the aggregator's database keeps what counted from when,
so that whoever may read the evidence can also repeat what was concluded from it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Declared:
    """A site. None: not declared, and nothing is concluded from it.

    `installed_wp`: peak power of its modules in W; `contracted_va`: the power its contract allows; `latitude`,
    `longitude`: decimal degrees, north and east positive; `tilt_deg`: of the modules, 0 is flat; `azimuth_deg`: where
    they look, clockwise from north (180 is south); `storage_wh`: what its batteries hold, 0 is none.
    """

    installed_wp: int | None = None
    contracted_va: int | None = None
    latitude: float | None = None
    longitude: float | None = None
    tilt_deg: float | None = None
    azimuth_deg: float | None = None
    storage_wh: int | None = None

    @property
    def has_roof(self) -> bool:
        """Whether its sun can be computed."""
        return None not in (self.installed_wp, self.latitude, self.longitude)
