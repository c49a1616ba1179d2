from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods, require_safe

from activity import feed
from photos import services, thumbnails
from photos.forms import UploadForm
from photos.models import Photo


@require_safe
def index(request):
    photos = Photo.objects.select_related("album")[:12]
    return render(request, "photos/index.html", {"photos": photos, "activity": feed.latest()})


@require_http_methods(["GET", "POST"])
def upload(request):
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        fields = form.cleaned_data
        photo = services.store_upload(
            fields["image"],
            upload_id=fields["upload_id"],
            title=fields["title"],
            album_name=fields["album"],
            look=fields["look"],
        )
        messages.success(request, "%s is in the album now." % photo.title)
        return redirect(photo)
    return render(request, "photos/upload.html", {"form": form}, status=400 if form.errors else 200)


@require_safe
def detail(request, pk):
    photo = get_object_or_404(Photo.objects.select_related("album"), pk=pk)
    return render(request, "photos/detail.html", {"photo": photo})


@require_safe
@cache_control(max_age=3600)
def thumb(request, pk):
    photo = get_object_or_404(Photo, pk=pk)
    return HttpResponse(thumbnails.thumbnail(photo), content_type="image/jpeg")
