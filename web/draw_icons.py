"""Draws the icons of the installed app: `python -m web.draw_icons` (Pillow). static/icon.svg is the same picture.

The maskable one fills its square and keeps everything within the inner 80 %, so that any phone may cut it round.
"""

from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent / "static" / "icons"
GROUND, SUN = (0x17, 0x60, 0x3B), (0xFF, 0xC5, 0x3D)
VIEW = 64
"""Side of the drawing's own square, as in icon.svg."""
BOLT = ((34, 20), (24, 35), (31, 35), (29, 45), (40, 29), (32, 29))
FINER = 4
"""Drawn so many times larger, then made smaller: Pillow draws without smooth edges."""


def icon(side: int, *, is_maskable: bool = False) -> Image.Image:
    """The picture, `side` pixels wide."""
    large = side * FINER
    picture = Image.new("RGBA", (large, large), (*GROUND, 255) if is_maskable else (0, 0, 0, 0))
    pen, scale = ImageDraw.Draw(picture), large / VIEW
    if not is_maskable:
        pen.rounded_rectangle((0, 0, large - 1, large - 1), radius=14 * scale, fill=GROUND)
    pen.ellipse([(32 - 15) * scale, (32 - 15) * scale, (32 + 15) * scale, (32 + 15) * scale], fill=SUN)
    pen.polygon([(x * scale, y * scale) for x, y in BOLT], fill=GROUND)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for side in (192, 512):
        icon(side).save(FOLDER / f"icon-{side}.png", optimize=True)
        icon(side, is_maskable=True).save(FOLDER / f"maskable-{side}.png", optimize=True)
    icon(180, is_maskable=True).save(FOLDER / "touch-180.png", optimize=True)


if __name__ == "__main__":
    main()
