"""An image as it came in: checked, and in memory until it is stored."""

import hashlib
import io

from django.conf import settings
from django.core.exceptions import ValidationError
from PIL import Image, UnidentifiedImageError


class IncomingImage:
    def __init__(self, name, data, format):
        self.name = name
        self.data = data
        self.format = format
        self.sha256 = hashlib.sha256(data).hexdigest()

    @classmethod
    def read(cls, upload):
        """Takes over a file of a form."""
        if upload.size > settings.UPLOAD_MAX_BYTES:
            raise ValidationError("This image is too large.")
        data = upload.read()
        try:
            with Image.open(io.BytesIO(data)) as picture:
                picture.verify()
                format = picture.format
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            raise ValidationError("This file is not an image.") from error
        if format not in settings.UPLOAD_FORMATS:
            raise ValidationError("Only JPEG and PNG images can be uploaded.")
        return cls(upload.name, data, format)

    def open(self):
        return Image.open(io.BytesIO(self.data)).convert("RGB")

    @property
    def file_name(self):
        return self.sha256[:16] + settings.UPLOAD_FORMATS[self.format]
