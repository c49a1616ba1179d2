from django.http import JsonResponse
from django.views.decorators.cache import never_cache

from progress import registry


@never_cache
def show(request, upload_id):
    tracker = registry.find(upload_id)
    if tracker is None:
        return JsonResponse({"stage": "unknown", "percent": 0})
    return JsonResponse(tracker.summary())
