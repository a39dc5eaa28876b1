"""Settings of all tiers. The defaults are those of production; .env.example explains each variable."""

import logging
from pathlib import Path
from secrets import token_hex
from typing import Any

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from config.environment import Environment
from core_apps.operations.logs import build_logging_config
from core_apps.operations.sentry import start_sentry

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR / ".env")

PROJECT_NAME = "Exhibition CRM"  # in titles and as the sender of e-mails; never translated

# Environment

DEBUG = env.get_bool("DEBUG", default=False)
HTTPS = env.get_bool("HTTPS", default=True)
SECRET_KEY = env.get_secret_key()
SECRET_KEY_FALLBACKS = env.get_secret_key_fallbacks()
ALLOWED_HOSTS = env.get_allowed_hosts(debug=DEBUG)

# Applications

INSTALLED_APPS = [
    "anymail",
    # Before accounts, which has pages of its own for them.
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "core_apps.accounts",
    "core_apps.api",
    "core_apps.big_lists",
    "core_apps.cache",
    "core_apps.common",
    "core_apps.history",
    "core_apps.media",
    "core_apps.messaging",
    "core_apps.operations",
    "core_apps.tasks",
    "core_apps.webhooks",
    "customers.apps.CustomersConfig",
    "customers.apps.SiteConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_countries",  # for its translations
    "drf_spectacular",
    "drf_spectacular_sidecar",  # Swagger UI, served from here
    "rest_framework",
]
MIDDLEWARE = [
    # First: probes need no host check, redirect, session or log line.
    "core_apps.operations.probes.ProbeMiddleware",
    "core_apps.operations.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    # Before all middleware that may refuse an API request.
    "core_apps.api.problems.ProblemMiddleware",
    # Before all middleware that may read a body, and after those that add security headers to its responses.
    "core_apps.operations.uploads.UploadLimitMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # Before all middleware that responds with text; the user's language is in a cookie.
    "django.middleware.locale.LocaleMiddleware",
    "core_apps.operations.redirects.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "core_apps.accounts.sessions.IdleLimitMiddleware",
    "core_apps.accounts.time_zone.TimeZoneMiddleware",
    "core_apps.history.cause.CauseMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "core_apps.operations.database.DatabaseAwayMiddleware",
]

# Traces
OTEL_EXPORTER_OTLP_ENDPOINT = env.get_address("OTEL_EXPORTER_OTLP_ENDPOINT")
OTEL_EXPORTER_OTLP_HEADERS = env.get_pairs("OTEL_EXPORTER_OTLP_HEADERS")
if OTEL_EXPORTER_OTLP_ENDPOINT:
    # After RequestLogMiddleware, which knows the request's id.
    MIDDLEWARE.insert(2, "core_apps.operations.traces.TracesMiddleware")

# For Prometheus, on the port of the probes
METRICS = env.get_bool("METRICS", default=bool(env.get_text("PROBE_PORT")))
if METRICS:
    MIDDLEWARE.insert(1, "core_apps.operations.metrics.MetricsMiddleware")

# URLs and templates

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
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

# Database

DATABASE_CONNECT_TIMEOUT = env.get_int("DATABASE_CONNECT_TIMEOUT", default=3)  # seconds, as all of these
DATABASE_STATEMENT_TIMEOUT = env.get_int("DATABASE_STATEMENT_TIMEOUT", default=15)
DATABASE_LOCK_TIMEOUT = env.get_int("DATABASE_LOCK_TIMEOUT", default=3)
DATABASE_IDLE_TRANSACTION_TIMEOUT = env.get_int("DATABASE_IDLE_TRANSACTION_TIMEOUT", default=30)
database = env.get_database()
DATABASES = {
    "default": database
    | {
        "ENGINE": "core_apps.operations.postgresql",
        # A persistent connection saves the handshake; the health check replaces it if the server has closed it.
        "CONN_MAX_AGE": env.get_int("CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": database["OPTIONS"]
        | {
            "connect_timeout": DATABASE_CONNECT_TIMEOUT,
            # Without these, a query to an unreachable host waits for 15 minutes.
            "tcp_user_timeout": 5000,  # milliseconds without an acknowledgement
            "keepalives_idle": 5,  # then probed each second while waiting for a response
            "keepalives_interval": 1,
            "keepalives_count": 3,
            # Enforced by the server, in milliseconds; by default PostgreSQL waits forever.
            "options": f"-c statement_timeout={1000 * DATABASE_STATEMENT_TIMEOUT}"
            f" -c lock_timeout={1000 * DATABASE_LOCK_TIMEOUT}"
            f" -c idle_in_transaction_session_timeout={1000 * DATABASE_IDLE_TRANSACTION_TIMEOUT}"
            # For SSDs; queries of pages are too short for JIT compilation and parallel workers.
            " -c random_page_cost=1.1 -c jit=off -c max_parallel_workers_per_gather=0"
            # With LIMIT, the planner may choose to scan a whole table for matching rows that do not exist.
            " -c enable_seqscan=off",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cache, sessions and messages

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": env.get_redis_url("REDIS_URL"),
        "OPTIONS": {
            "REDIS_CLIENT_CLASS": "core_apps.cache.client.CircuitBreakerRedis",
            # Seconds. Each call waits that long if Redis does not answer, so it must be much less than a page's time.
            "SOCKET_CONNECT_TIMEOUT": 0.3,
            "SOCKET_TIMEOUT": 0.3,
            # Not pickle: it would let anyone who can write to Redis run code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        },
    }
}
# Pages work without the cache; failures are logged.
DJANGO_REDIS_IGNORE_EXCEPTIONS = True
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_IDLE_MINUTES = env.get_int("SESSION_IDLE_MINUTES", default=720, minimum=1)

# Background tasks

BROKER_URL = env.get_redis_url("BROKER_URL")  # another server than the cache, which may lose what it holds
CELERY_APP = "config.celery.app"
# For debugging: tasks run in the request that adds them.
TASKS_FORCE_INLINE = env.get_bool("TASKS_FORCE_INLINE", default=False)
if TASKS_FORCE_INLINE and not DEBUG:
    env.add_error("TASKS_FORCE_INLINE", "is for debugging: set DEBUG=true too, or run a worker")

# Webhooks

# What they tell of; core_apps/webhooks/triggers.py has the names.
WEBHOOK_SUBJECTS = {"customer": _("Customer"), "visit": _("Visit"), "followup": _("Follow-up")}
WEBHOOK_NETWORKS = env.get_networks("WEBHOOK_NETWORKS")

# Messages to people

MESSAGE_RECIPIENT_MODEL = "customers.Customer"
# Worth keeping when SECRET_KEY changes: the list of who has unsubscribed cannot be hashed anew.
SUPPRESSION_KEY = env.get_secret("SUPPRESSION_KEY") or SECRET_KEY

# The Cloud API of WhatsApp; off while the token is blank.
WHATSAPP_TOKEN = env.get_secret("WHATSAPP_TOKEN")
WHATSAPP_PHONE_NUMBER_ID = env.get_text("WHATSAPP_PHONE_NUMBER_ID")
WHATSAPP_APP_SECRET = env.get_secret("WHATSAPP_APP_SECRET")
WHATSAPP_VERIFY_TOKEN = env.get_secret("WHATSAPP_VERIFY_TOKEN")
WHATSAPP_API_URL = env.get_text("WHATSAPP_API_URL", "https://graph.facebook.com")
if WHATSAPP_TOKEN:
    env.require("WHATSAPP_TOKEN", "WHATSAPP_PHONE_NUMBER_ID", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN")

# Users

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["core_apps.accounts.guesses.LimitedGuessesBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
LOGIN_URL = "admin:login"
OTP_TOTP_ISSUER = PROJECT_NAME  # the name that the authenticator app shows

# Language and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("en-gb", "English (UK)"), ("de", "Deutsch")]  # en-gb for its dates
FORMAT_MODULE_PATH = "config.formats"
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
TIME_ZONE = env.get_time_zone("TIME_ZONE")  # the team's; people and exhibitions may have another
USE_TZ = True
# Not part of ISO 3166-1, but used for Kosovo by the EU, the IMF and banks.
COUNTRIES_OVERRIDE = {"XK": "Kosovo"}
PHONE_REGION = env.get_country("PHONE_REGION")

# Static files and media

STATIC_HOST = env.get_origin("STATIC_HOST")
STATIC_URL = f"{STATIC_HOST}/static/" if STATIC_HOST else "static/"
STATIC_ROOT = Path(env.get_text("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
# Only hashed names identify the version of a file.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
MEDIA_URL = "media/"
MEDIA_ROOT = Path(env.get_text("MEDIA_ROOT", str(BASE_DIR / "media")))
MEDIA_ACCEL_URL = env.get_url_path("MEDIA_ACCEL_URL")
# One for each column of a file to import, and a few more.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1100
UPLOAD_LIMIT_MB = env.get_int("UPLOAD_LIMIT_MB", default=25, minimum=1)  # in nginx, 0 means no limit
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# In a bucket instead of MEDIA_ROOT, by Amazon's own variables; without a key, boto3 looks for the role of the machine.
MEDIA_BUCKET = env.get_bucket("MEDIA_BUCKET")
AWS_REGION = env.get_text("AWS_REGION")
AWS_ENDPOINT_URL = env.get_origin("AWS_ENDPOINT_URL")
AWS_ACCESS_KEY_ID = env.get_text("AWS_ACCESS_KEY_ID")
AWS_SECRET_ACCESS_KEY = env.get_secret("AWS_SECRET_ACCESS_KEY")
if MEDIA_BUCKET:
    if not AWS_ENDPOINT_URL:
        env.require("MEDIA_BUCKET", "AWS_REGION")
    if AWS_ACCESS_KEY_ID:
        env.require("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    STORAGES["default"] = {
        "BACKEND": "core_apps.media.bucket.BucketStorage",
        "OPTIONS": {
            "bucket_name": MEDIA_BUCKET,
            "region_name": AWS_REGION or "us-east-1",
            "endpoint_url": AWS_ENDPOINT_URL or None,
            "access_key": AWS_ACCESS_KEY_ID or None,
            "secret_key": AWS_SECRET_ACCESS_KEY or None,
        },
    }
    MIDDLEWARE.append("core_apps.media.bucket.BucketAwayMiddleware")

# API

REST_FRAMEWORK = {
    # The first one determines WWW-Authenticate in 401 responses.
    "DEFAULT_AUTHENTICATION_CLASSES": (
        "core_apps.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ),
    "DEFAULT_PERMISSION_CLASSES": ("core_apps.api.access.RolePermission",),
    "DEFAULT_PARSER_CLASSES": ("core_apps.api.parsing.JSONParser",),
    "DEFAULT_RENDERER_CLASSES": ("rest_framework.renderers.JSONRenderer",),
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is refused like any unknown parameter
    "DEFAULT_SCHEMA_CLASS": "core_apps.api.schema.ApiSchema",
    "DEFAULT_METADATA_CLASS": None,  # the schema describes what OPTIONS would
    "EXCEPTION_HANDLER": "core_apps.api.problems.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": PROJECT_NAME,
    "DESCRIPTION": "Customers met at exhibitions, their visits, and the follow-ups.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # Read-only fields are not part of requests.
    "COMPONENT_SPLIT_REQUEST": True,
    # Explicit names: generated ones change when another field has the same name.
    "ENUM_NAME_OVERRIDES": {
        "ChannelEnum": "customers.models.FollowUp.Channel",
        "CountryEnum": "core_apps.common.fields.get_country_choices",
        "GradeEnum": "customers.models.Visit.Grade",
        "OutcomeEnum": "customers.models.FollowUp.Outcome",
        "PriorityEnum": "customers.models.FollowUp.Priority",
        "SourceEnum": "customers.models.Customer.Source",
        "StageEnum": "customers.models.Customer.Stage",
    },
    "POSTPROCESSING_HOOKS": (
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core_apps.api.schema.describe_problems",
        "core_apps.api.schema.forbid_unknown_request_fields",
        "core_apps.api.schema.make_response_fields_optional",
    ),
}
# Requests per minute: per token or logged-in user, and per address without a valid token.
API_RATE_PER_TOKEN = env.get_int("API_RATE_PER_TOKEN", default=600, minimum=1)
API_RATE_OF_FAILURES = env.get_int("API_RATE_OF_FAILURES", default=30, minimum=1)

# Other origins whose pages may call the API with a token; sessions only work for our own pages.
CORS_ALLOWED_ORIGINS = env.get_list("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (*default_headers, "idempotency-key", "if-match", "if-none-match")
CORS_EXPOSE_HEADERS = ("ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-Id")
if CORS_ALLOWED_ORIGINS:
    INSTALLED_APPS.append("corsheaders")  # its system checks refuse invalid origins
    # Before all middleware that responds: browsers hide error responses without these headers.
    MIDDLEWARE.insert(2, "corsheaders.middleware.CorsMiddleware")

# E-mail

EMAIL_HOST = env.get_text("EMAIL_HOST")
# Without a mail server mails are discarded, and PasswordResetView says so.
EMAIL_BACKEND = env.get_text(
    "EMAIL_BACKEND", f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'dummy'}.EmailBackend"
)
EMAIL_PORT = env.get_int("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.get_text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.get_secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.get_bool("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 5  # seconds
# Of a provider's API. Its webhook at /anymail/ needs the secret; nobody knows the default.
ANYMAIL = {"WEBHOOK_SECRET": token_hex(), "REQUESTS_TIMEOUT": EMAIL_TIMEOUT} | env.get_pairs("ANYMAIL")
# Of a staging tier: its customers are real, or look so.
EMAIL_REDIRECT_TO = env.get_text("EMAIL_REDIRECT_TO")
DEFAULT_FROM_EMAIL = env.get_text("DEFAULT_FROM_EMAIL", f"{PROJECT_NAME} <noreply@localhost>")

# Security: one switch, because each of these settings is broken or unsafe without the others.

SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.get_int("SECURE_HSTS_SECONDS", default=63_072_000) if HTTPS else 0  # two years
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# Separate, because browsers ship the list of preloaded domains, and leaving it takes months.
SECURE_HSTS_PRELOAD = env.get_bool("SECURE_HSTS_PRELOAD", default=False) and HTTPS
CSRF_TRUSTED_ORIGINS = env.get_list("CSRF_TRUSTED_ORIGINS")
X_FRAME_OPTIONS = "DENY"

# Of photos, and of static files
MEDIA_ORIGINS = [AWS_ENDPOINT_URL or f"https://{MEDIA_BUCKET}.s3.{AWS_REGION}.amazonaws.com"] if MEDIA_BUCKET else []
STATIC_ORIGINS = [SELF, STATIC_HOST] if STATIC_HOST else [SELF]
# e2e/test_content_security_policy.py visits all pages of the admin with this policy. No nonces: the admin's own tags
# have none.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": STATIC_ORIGINS,
        "style-src": STATIC_ORIGINS,
        "img-src": STATIC_ORIGINS + MEDIA_ORIGINS,
        "connect-src": [SELF],  # autocomplete, and the form for the stand
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Server, for config/gunicorn.py

WEB_HOST = env.get_text("WEB_HOST", "127.0.0.1")
PORT = env.get_int("PORT", default=8000)
WEB_CONCURRENCY = env.get_int("WEB_CONCURRENCY", default=0)
FORWARDED_ALLOW_IPS = env.get_text("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

# For links in e-mails, which no request leads to.
SITE_URL = env.get_site_url("SITE_URL", ALLOWED_HOSTS, https=HTTPS, port=PORT)

# Logging and error reports

LOGGING = build_logging_config(
    env.get_choice("LOG_FORMAT", ("auto", "json", "text")),
    env.get_choice("LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
)
logging.captureWarnings(True)  # Python's warnings become lines of the log
SENTRY_DSN = env.get_secret("SENTRY_DSN")

env.exit_on_errors()
start_sentry(SENTRY_DSN, environment=env.get_text("SENTRY_ENVIRONMENT", "production"))
