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
    addresses,
    endpoints,
    flag,
    group_name,
    http_server,
    kafka_client_config,
    names,
    one_of,
    required,
    secret,
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
    "workers.discovery",
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

# Behind a pooler that hands sessions out by the transaction: nothing is prepared, no session's settings are changed.
DATABASE_POOLED = flag(env, "DATABASE_POOLED", default=False)
DATABASES: dict[str, dict[str, Any]] = {
    "default": {**postgres_connection(env), "DISABLE_SERVER_SIDE_CURSORS": DATABASE_POOLED}
}

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

# --- gRPC -------------------------------------------------------------------------------------------------------------
GRPC_HOST = env.str("GRPC_HOST", default="").strip() or "127.0.0.1"
# Under which name or address others reach this machine; empty: GRPC_HOST, or the machine's name where that is 0.0.0.0.
GRPC_ADVERTISED_HOST = env.str("GRPC_ADVERTISED_HOST", default="").strip()
# Calls that one process works on at a time; each thread has a connection to the database.
GRPC_THREADS = whole_number(env, "GRPC_THREADS", default=16, lowest=1, highest=1_000)
GRPC_MAX_STREAMS = whole_number(env, "GRPC_MAX_STREAMS", default=200, lowest=1, highest=100_000)
# To each port of a process; what is more is refused. Each may have 300 calls open, of some 20 KiB.
GRPC_MAX_CONNECTIONS = whole_number(env, "GRPC_MAX_CONNECTIONS", default=500, lowest=1, highest=100_000)
GRPC_METRICS_PORT = whole_number(env, "GRPC_METRICS_PORT", default=0, lowest=0, highest=65_535)
# Files in PEM. A certificate and its key: TLS. A client CA, too: clients need a certificate of it.
GRPC_TLS_CERTIFICATE = env.str("GRPC_TLS_CERTIFICATE", default="").strip()
GRPC_TLS_KEY = env.str("GRPC_TLS_KEY", default="").strip()
GRPC_TLS_CLIENT_CA = env.str("GRPC_TLS_CLIENT_CA", default="").strip()
# What our own clients expect of the servers that they call.
GRPC_TLS_CA = env.str("GRPC_TLS_CA", default="").strip()
GRPC_TLS_SERVER_NAME = env.str("GRPC_TLS_SERVER_NAME", default="").strip()
GRPC_PLAINTEXT_BEHIND_TLS_PROXY = flag(env, "GRPC_PLAINTEXT_BEHIND_TLS_PROXY", default=False)
GRPC_UNPACKAGED_WRITES_WITHOUT_TOKEN = flag(env, "GRPC_UNPACKAGED_WRITES_WITHOUT_TOKEN", default=False)
# Where movie details come from: one query of this database, or the metadata and ratings services over gRPC.
MOVIE_DETAILS_SOURCE = one_of(env, "MOVIE_DETAILS_SOURCE", ("DATABASE", "GRPC"), default="DATABASE").lower()
MOVIE_DETAILS_PARTIAL = flag(env, "MOVIE_DETAILS_PARTIAL", default=True)
MOVIE_DETAILS_TIMEOUT_MS = whole_number(env, "MOVIE_DETAILS_TIMEOUT_MS", default=2_000, lowest=10, highest=600_000)

# --- Discovery --------------------------------------------------------------------------------------------------------
DISCOVERY = one_of(env, "DISCOVERY", ("STATIC", "CONSUL", "ETCD"), default="STATIC").lower()
DISCOVERY_STATIC = addresses(
    env,
    "DISCOVERY_STATIC",
    default="metadata=127.0.0.1:8081;ratings=127.0.0.1:8082;movie=127.0.0.1:8083",
    services=("metadata", "ratings", "movie"),
)
DISCOVERY_TTL_SECONDS = whole_number(env, "DISCOVERY_TTL_SECONDS", default=10, lowest=2, highest=300)
DISCOVERY_CONSUL_URL = http_server(env, "DISCOVERY_CONSUL_URL", default="http://127.0.0.1:8500")
DISCOVERY_CONSUL_TOKEN = secret(env, "DISCOVERY_CONSUL_TOKEN")
# A file in PEM; empty: the certificate authorities that everybody trusts.
DISCOVERY_CONSUL_CA = env.str("DISCOVERY_CONSUL_CA", default="").strip()
DISCOVERY_ETCD_ENDPOINTS = endpoints(env, "DISCOVERY_ETCD_ENDPOINTS", default=["127.0.0.1:2379"])
# Files in PEM. A CA: TLS. A certificate and its key, too: they say who we are.
DISCOVERY_ETCD_CA = env.str("DISCOVERY_ETCD_CA", default="").strip()
DISCOVERY_ETCD_CERTIFICATE = env.str("DISCOVERY_ETCD_CERTIFICATE", default="").strip()
DISCOVERY_ETCD_KEY = env.str("DISCOVERY_ETCD_KEY", default="").strip()

# --- Logs -------------------------------------------------------------------------------------------------------------
LOGGING = logging_settings(level=one_of(env, "DJANGO_LOG_LEVEL", LEVELS, default="INFO"))
# A user would be looked up in the database for every request, even for a page that needs none.
DJANGO_STRUCTLOG_USER_ID_FIELD = ""
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
DJANGO_STRUCTLOG_STATUS_START_LOG_LEVEL = DEBUG_LEVEL
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = INFO_LEVEL
