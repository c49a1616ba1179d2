"""A Django site with models, sessions, templates, forms, signals and the cache, called as a WSGI server calls it.

Not through Django's test client: that leaks. It connects `close_old_connections` anew for each request, and each time leaves a
finalizer behind.
"""
import io
import logging
import sqlite3
from wsgiref.util import setup_testing_defaults

import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:site?mode=memory&cache=shared"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.common.CommonMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {
            "page.html": "{% for user in users %}<p>{{ user.username|upper }}</p>{% endfor %}{{ form }}",
        })]},
    }],
)
django.setup()
logging.disable(logging.CRITICAL)

from django import forms
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import JsonResponse
from django.shortcuts import render
from django.core.wsgi import get_wsgi_application
from django.urls import path


class Form(forms.Form):
    name = forms.CharField()


@receiver(post_save, sender=User)
def saved(sender, instance, **kwargs):
    cache.set("last", instance.username)


def page(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return render(request, "page.html", {"users": User.objects.all()[:5], "form": Form()})


def register(request, name):
    user = User.objects.create(username=name)
    user.delete()
    return JsonResponse({"last": cache.get("last")})


urlpatterns = [path("", page), path("register/<str:name>/", register)]
# Connections are closed after each request: this one keeps the database in memory.
kept = sqlite3.connect("file:site?mode=memory&cache=shared", uri=True)
call_command("migrate", verbosity=0)
serve = get_wsgi_application()
count = 0


def get(path):
    environ = {"PATH_INFO": path, "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    statuses = []
    response = serve(environ, lambda status, headers: statuses.append(status))
    b"".join(response)
    response.close()
    return int(statuses[0].split()[0])


def step(n):
    global count
    for _ in range(n):
        count += 1
        assert get("/") == 200
        assert get("/register/user%d/" % count) == 200
        assert get("/nothing/") == 404
    Session.objects.all().delete()
