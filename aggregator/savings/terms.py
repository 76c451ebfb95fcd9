"""What a policy says about savings: how much must be known of a home, and how sure its saving must be."""

from pydantic import Field

from commonwatt.settings import Settings


class Terms(Settings):
    """Thousandths where the name says so. The defaults are those that docs/savings.md gives figures for."""

    days_present_permille: int = Field(default=900, ge=500, le=1000, strict=True)
    """Of the baseline's and of the reported days, how many must have been measured whole."""
    cv_permille_max: int = Field(default=250, ge=50, le=1000, strict=True)
    """Scatter of a home's days around its baseline over its mean day, CV(RMSE): beyond it nothing can be said."""
    shift_permille_max: int = Field(default=300, ge=50, le=1000, strict=True)
    """How far the second half of the baseline may lie from what the first half foretells: the home itself changed."""
    like_homes: int = Field(default=15, ge=5, le=200, strict=True)
    """How many homes, the most alike in the baseline, say together what a home would have used."""
    comparison_homes_min: int = Field(default=10, ge=10, le=10_000, strict=True)
    """Homes that take no part and can be compared with; fewer would also tell too much about each of them."""
    weather_margin_dc: int = Field(default=50, ge=0, le=200, strict=True)
    """Tenths of a degree that a reported day may lie beyond the coldest and the warmest day of the baseline."""
    confidence_permille: int = Field(default=850, ge=500, lt=1000, strict=True)
    """One-sided: in how many of a thousand cases the true saving is to be at least what is credited."""
    held_permille: int = Field(default=300, ge=0, le=1000, strict=True)
    """Of what is credited, how much is held back until the true-up."""
