"""Settings, read from the environment only; a missing or malformed variable stops the process and is named.

Every variable is listed in `.env.example`. The environment is read here and nowhere else in the product's code.
"""

from logging import DEBUG as DEBUG_LEVEL
from logging import INFO as INFO_LEVEL
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from environ import Env

from movieapp.environment import (
    flag,
    group_name,
    kafka_client_config,
    names,
    one_of,
    required,
    topic_name,
    whole_number,
)
from movieapp.logging import LEVELS, logging_settings
from movieapp.postgres_environment import postgres_connection

env = Env()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- Security ---------------------------------------------------------------------------------------------------------
SECRET_KEY = required(env, "DJANGO_SECRET_KEY", "a long random text, kept secret and the same for every process")
DEBUG = flag(env, "DJANGO_DEBUG", default=False)
ALLOWED_HOSTS = names(env, "DJANGO_ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = names(env, "DJANGO_CSRF_TRUSTED_ORIGINS", default=[])
# For a laptop only: cookies over plain HTTP on loopback. `manage.py check --deploy` warns about it.
INSECURE_LOCAL_HTTP = flag(env, "DJANGO_INSECURE_LOCAL_HTTP", default=False)
SECURE_SSL_REDIRECT = not INSECURE_LOCAL_HTTP
SESSION_COOKIE_SECURE = not INSECURE_LOCAL_HTTP
CSRF_COOKIE_SECURE = not INSECURE_LOCAL_HTTP
SECURE_HSTS_SECONDS = 0 if INSECURE_LOCAL_HTTP else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_LOCAL_HTTP
SECURE_HSTS_PRELOAD = not INSECURE_LOCAL_HTTP
if flag(env, "DJANGO_BEHIND_TLS_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{validator}"}
    for validator in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# --- Django -----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "csp",
    "django_structlog",
    "knox",
    "rest_framework",
    "metadata",
    "ratings",
    "workers.kafka",
    "workers.ingestion",
    "workers.publishing",
    "movieapp.catalogue",
    "movieapp.devstack",
]
MIDDLEWARE = [
    "movieapp.probes.middleware.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "movieapp.rest.refusals.RefusalMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]
ROOT_URLCONF = "movieapp.urls"
WSGI_APPLICATION = "movieapp.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
# Serves the packages' own files straight from where they are installed: no collectstatic step to forget.
WHITENOISE_USE_FINDERS = True
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576  # bytes; the largest body of a REST request

DATABASES: dict[str, dict[str, Any]] = {"default": postgres_connection(env)}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "movieapp.rest.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["movieapp.rest.permissions.ModelPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["movieapp.rest.bodies.JSONParser"],
    "EXCEPTION_HANDLER": "movieapp.rest.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

# --- Kafka ------------------------------------------------------------------------------------------------------------
# librdkafka's own names and values; every client adds to these and none of them takes one away.
KAFKA_CLIENT_CONFIG = kafka_client_config(env)
RATINGS_TOPIC = topic_name(env, "RATINGS_TOPIC", default="ratings")
RATINGS_TOPIC_PARTITIONS = whole_number(env, "RATINGS_TOPIC_PARTITIONS", default=12, lowest=1, highest=10_000)
RATINGS_TOPIC_RETENTION_MS = whole_number(
    env, "RATINGS_TOPIC_RETENTION_MS", default=604_800_000, lowest=60_000, highest=2**63 - 1, special=-1
)
# Named: dead letters are sent there too, with Kafka Connect's error headers.
RATINGS_DEAD_LETTER_TOPIC = topic_name(env, "RATINGS_DEAD_LETTER_TOPIC", default="")
if RATINGS_DEAD_LETTER_TOPIC == RATINGS_TOPIC:
    raise ImproperlyConfigured(
        f"RATINGS_DEAD_LETTER_TOPIC is {RATINGS_TOPIC!r}, as RATINGS_TOPIC is: it wants a topic of its own."
    )
# On: every change of an aggregate is marked, for `publish_aggregates` to send it to that topic.
RATINGS_PUBLISH_AGGREGATES = flag(env, "RATINGS_PUBLISH_AGGREGATES", default=False)
RATINGS_AGGREGATES_TOPIC = topic_name(env, "RATINGS_AGGREGATES_TOPIC", default="ratings.aggregates")
if RATINGS_AGGREGATES_TOPIC in (RATINGS_TOPIC, RATINGS_DEAD_LETTER_TOPIC):
    raise ImproperlyConfigured(
        f"RATINGS_AGGREGATES_TOPIC is {RATINGS_AGGREGATES_TOPIC!r}, as another topic is: it wants one of its own."
    )
KAFKA_REPLICATION_FACTOR = whole_number(
    env, "TOPIC_REPLICATION_FACTOR", default=-1, lowest=1, highest=32_767, special=-1
)
RATINGS_CONSUMER_GROUP = group_name(env, "RATINGS_CONSUMER_GROUP", default="rating")

# --- Logs -------------------------------------------------------------------------------------------------------------
LOGGING = logging_settings(level=one_of(env, "DJANGO_LOG_LEVEL", LEVELS, default="INFO"))
# A user would be looked up in the database for every request, even for a page that needs none.
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = DEBUG_LEVEL
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = INFO_LEVEL
