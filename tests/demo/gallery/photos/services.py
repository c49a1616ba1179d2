"""What happens to an image between the form and the album."""

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import transaction

from photos import filters, thumbnails, watermark
from photos.models import Album, Photo
from progress import registry


def store_upload(image, *, upload_id, title, album_name, look=""):
    """Develops an incoming image and puts it into its album."""
    tracker = registry.start(upload_id, image)
    try:
        card = develop(image, look, tracker)
        with transaction.atomic():
            album, _ = Album.objects.get_or_create(name=album_name)
            photo = Photo(album=album, title=title, upload_id=upload_id.hex, sha256=image.sha256)
            photo.image = ContentFile(image.data, name=image.file_name)
            default_storage.save("cards/%s.jpg" % image.sha256[:16], ContentFile(card))
            tracker.advance("stored")
            photo.save()
    except Exception:
        registry.finish(upload_id)
        raise
    return photo


def develop(image, look, tracker):
    """The rendition that the album's page shows."""
    picture = filters.apply(look, image.open())
    tracker.advance("filtered")
    picture = watermark.mark(picture)
    tracker.advance("watermarked")
    card = thumbnails.encode(thumbnails.resize(picture, "card"), "card")
    tracker.advance("resized")
    return card
