from django.contrib import admin

from photos.models import Album, Photo


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):
    search_fields = ["name"]


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):
    list_display = ["title", "album", "width", "height", "uploaded_at"]
    list_filter = ["album"]
    search_fields = ["title", "sha256"]
    readonly_fields = ["upload_id", "sha256", "uploaded_at"]
