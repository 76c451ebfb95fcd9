"""Totals of many cells of the same time, told one after another: which may be told beside those before. Pure.

What was told cuts the sites into *atoms*: those that are in exactly the same totals. By adding and subtracting,
nothing finer than an atom can be had. So as long as each atom by itself could be told (enough sites, nobody
dominates), every total of any atoms can: the largest part of a union is the largest part of one of them. Stricter
than the exact rule (linear.py), and quick enough for a town's feeders every quarter of an hour.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aggregator.privacy import rule
from aggregator.privacy.rule import Withheld

Sites = NDArray[np.int64]
"""Sites by number, ascending."""


class Levels:
    """The atoms of some figures that are told together. `figures_wh`: each figure of every site, by its number."""

    def __init__(self, figures_wh: Sequence[NDArray[np.int64]]) -> None:
        self._figures_wh = figures_wh
        self._atom_of: NDArray[np.int64] | None = None
        self._atoms = 1

    def tell(self, sites: Sites) -> Withheld | None:
        """Why the figures of these sites may not be told, or None; then they count as told."""
        reason = self._check(sites)
        if reason is not None:
            return reason
        count = len(self._figures_wh[0])
        atom_of = np.zeros(count, dtype=np.int64) if self._atom_of is None else self._atom_of
        is_inside = np.zeros(count, dtype=bool)
        is_inside[sites] = True
        for atom in np.unique(atom_of[sites]).tolist():
            if atom == 0:
                continue  # of those outside every total nothing is known
            outside = np.flatnonzero((atom_of == atom) & ~is_inside)
            inside = np.flatnonzero((atom_of == atom) & is_inside)
            if len(outside) and (self._check(outside) or self._check(inside)):
                return Withheld.DIFFERS_BY_FEW
        fresh = np.flatnonzero((atom_of == 0) & is_inside)
        if len(fresh) and len(fresh) < len(sites) and self._check(fresh):
            return Withheld.DIFFERS_BY_FEW
        self._note(atom_of, sites)
        return None

    def _note(self, atom_of: NDArray[np.int64], sites: Sites) -> None:
        """Number the atoms anew: by what they were and by whether they are inside."""
        fresh = atom_of.copy()
        for atom in np.unique(atom_of[sites]).tolist():
            fresh[sites[atom_of[sites] == atom]] = self._atoms
            self._atoms += 1
        self._atom_of = fresh

    def _check(self, sites: Sites) -> Withheld | None:
        """The one rule, for each of the figures."""
        for figure_wh in self._figures_wh:
            reason = rule.check_parts(figure_wh[sites].tolist())
            if reason is not None:
                return reason
        return None
