"""Looks that can be chosen at upload. A new one only needs the decorator."""

from PIL import ImageEnhance, ImageFilter, ImageOps

FILTERS = {}


def look(name, label):
    def register(function):
        FILTERS[name] = (label, function)
        return function

    return register


def choices():
    return [("", "As it is")] + [(name, label) for name, (label, _) in FILTERS.items()]


def apply(name, picture):
    if not name:
        return picture
    _, function = FILTERS[name]
    return function(picture)


@look("grey", "Black and white")
def grey(picture):
    return ImageOps.grayscale(picture).convert("RGB")


@look("vivid", "Vivid")
def vivid(picture):
    return ImageEnhance.Color(picture).enhance(1.4)


@look("soft", "Soft")
def soft(picture):
    return picture.filter(ImageFilter.GaussianBlur(2))


@look("crisp", "Crisp")
def crisp(picture):
    return picture.filter(ImageFilter.UnsharpMask(radius=2))
