"""The same shop as pages of Django."""
import os

from django.http import HttpResponse
from django.urls import path

ORDERS = []


def order(request):
    ORDERS.append(bytearray(1000))
    return HttpResponse("%d" % os.getpid())


urlpatterns = [path("", order)]
