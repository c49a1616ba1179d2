from django.db.models.signals import post_save
from django.dispatch import receiver

from photos.models import Photo
from progress import registry


@receiver(post_save, sender=Photo)
def close_progress(sender, instance, created, **kwargs):
    if created:
        registry.finish(instance.upload_id)
