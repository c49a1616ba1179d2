from django.urls import path

from progress import views

app_name = "progress"

urlpatterns = [
    path("<uuid:upload_id>/", views.show, name="show"),
]
