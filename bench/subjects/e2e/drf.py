"""Django REST framework on psycopg: a ModelSerializer, a ModelViewSet, page-number pagination, no middleware."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

INTERFACE = "wsgi"


def application(dsn: str) -> Any:
    import django
    from django.conf import settings

    address = urlsplit(dsn)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="bench.subjects.e2e.drf_urls",
        MIDDLEWARE=[],
        INSTALLED_APPS=["rest_framework"],
        APPEND_SLASH=False,
        USE_TZ=True,
        TIME_ZONE="UTC",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": address.path[1:],
                "USER": address.username,
                "HOST": address.hostname,
                "PORT": address.port,
                # A connection per thread, kept.
                "CONN_MAX_AGE": None,
            }
        },
        REST_FRAMEWORK={
            "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
            "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
            "DEFAULT_AUTHENTICATION_CLASSES": [],
            "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
            "UNAUTHENTICATED_USER": None,
        },
    )
    django.setup()

    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()
