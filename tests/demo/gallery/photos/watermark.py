"""The gallery's mark in the corner of every rendition."""

from functools import lru_cache

from PIL import Image, ImageDraw

TEXT = "gallery"


@lru_cache(maxsize=16)
def stamp(width):
    """A transparent strip as wide as the picture, with the mark at its right end."""
    strip = Image.new("RGBA", (width, 24), (0, 0, 0, 0))
    draw = ImageDraw.Draw(strip)
    left = width - int(draw.textlength(TEXT)) - 8
    draw.text((left + 1, 7), TEXT, fill=(0, 0, 0, 120))
    draw.text((left, 6), TEXT, fill=(255, 255, 255, 200))
    return strip


def mark(picture):
    strip = stamp(picture.width)
    marked = picture.copy()
    marked.paste(strip, (0, picture.height - strip.height), strip)
    return marked
