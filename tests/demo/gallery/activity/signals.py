from django.db.models.signals import post_save
from django.dispatch import receiver

from activity import feed
from photos.models import Photo


@receiver(post_save, sender=Photo)
def remember_photo(sender, instance, created, **kwargs):
    verb = "added" if created else "changed"
    feed.record(instance.uploaded_at, verb, instance.title, instance.get_absolute_url())
