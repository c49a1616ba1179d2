from django.urls import path

from photos import views

app_name = "photos"

urlpatterns = [
    path("", views.index, name="index"),
    path("upload/", views.upload, name="upload"),
    path("photos/<int:pk>/", views.detail, name="detail"),
    path("photos/<int:pk>/thumb/", views.thumb, name="thumb"),
]
