"""Every setting of every tier. Production is the default; .env.example says when to change what."""

from pathlib import Path

from corsheaders.defaults import default_headers
from csp.constants import NONE, SELF

from config.environment import Environment
from core_apps.operations.logs import build_logging_config
from core_apps.operations.sentry import start_sentry

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment(BASE_DIR / ".env")

PROJECT_NAME = "Exhibition CRM"  # in titles and as the sender of e-mails; never translated

# Environment

DEBUG = env.flag("DEBUG", default=False)
HTTPS = env.flag("HTTPS", default=True)
SECRET_KEY = env.secret_key()
SECRET_KEY_FALLBACKS = env.secret_key_fallbacks()
ALLOWED_HOSTS = env.allowed_hosts(debug=DEBUG)

# Applications

INSTALLED_APPS = [
    "core_apps.accounts",
    "core_apps.api",
    "core_apps.big_lists",
    "core_apps.cache",
    "core_apps.common",
    "core_apps.media",
    "core_apps.operations",
    "customers.apps.CustomersConfig",
    "customers.apps.SiteConfig",  # django.contrib.admin
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_countries",  # for its catalogues
    "drf_spectacular",
    "drf_spectacular_sidecar",  # Swagger UI as files of ours
    "rest_framework",
]
MIDDLEWARE = [
    # First, so that no host check, redirect, session or log line stands between an orchestrator and its answer.
    "core_apps.operations.probes.ProbeMiddleware",
    "core_apps.operations.request_log.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    # Around all that may refuse a request of the API.
    "core_apps.api.problems.ProblemMiddleware",
    # Before all that could read a body, and behind what gives its answer the headers of any other.
    "core_apps.operations.uploads.UploadLimitMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    # Before all whose answers have words in them; the person's choice is in a cookie.
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "core_apps.operations.database.DatabaseAwayMiddleware",
]

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

DATABASE_CONNECT_TIMEOUT = env.number("DATABASE_CONNECT_TIMEOUT", default=3)  # seconds, as all of these
DATABASE_STATEMENT_TIMEOUT = env.number("DATABASE_STATEMENT_TIMEOUT", default=15)
DATABASE_LOCK_TIMEOUT = env.number("DATABASE_LOCK_TIMEOUT", default=3)
DATABASE_IDLE_TRANSACTION_TIMEOUT = env.number("DATABASE_IDLE_TRANSACTION_TIMEOUT", default=30)
database = env.database()
DATABASES = {
    "default": database
    | {
        "ENGINE": "core_apps.operations.postgresql",
        # A kept connection saves the hand-shake; the health check replaces one that the server has dropped.
        "CONN_MAX_AGE": env.number("CONN_MAX_AGE", default=60),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": database["OPTIONS"]
        | {
            "connect_timeout": DATABASE_CONNECT_TIMEOUT,
            # A host that acknowledges nothing for 5 s is dead: without these a query waits for a quarter of an hour.
            "tcp_user_timeout": 5000,  # milliseconds, for what is sent
            "keepalives_idle": 5,  # then asked each second, while an answer is waited for
            "keepalives_interval": 1,
            "keepalives_count": 3,
            # Limits that the server itself enforces, in milliseconds; PostgreSQL's defaults are endless.
            "options": f"-c statement_timeout={1000 * DATABASE_STATEMENT_TIMEOUT}"
            f" -c lock_timeout={1000 * DATABASE_LOCK_TIMEOUT}"
            f" -c idle_in_transaction_session_timeout={1000 * DATABASE_IDLE_TRANSACTION_TIMEOUT}"
            # The planner's defaults are those of a disk that turns; and a page's queries are over before compiled.
            # Nor is there a processor to spare for a second process of one query.
            " -c random_page_cost=1.1 -c jit=off -c max_parallel_workers_per_gather=0"
            # For a LIMIT the planner hopes to meet rows early and reads a table from its beginning; there may be none.
            " -c enable_seqscan=off",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Cache, sessions and messages

CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": env.redis_url(),
        "OPTIONS": {
            "REDIS_CLIENT_CLASS": "core_apps.cache.client.CircuitBreakerRedis",
            # Seconds. A silent Redis costs one whole timeout for each call, so they stay well below a page's time.
            "SOCKET_CONNECT_TIMEOUT": 0.3,
            "SOCKET_TIMEOUT": 0.3,
            # Who can write to Redis must not be able to run code here, as unpickling would let them.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
        },
    }
}
# The cache may fail, never the page; and every failure is logged.
DJANGO_REDIS_IGNORE_EXCEPTIONS = True
DJANGO_REDIS_LOG_IGNORED_EXCEPTIONS = True
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"

# Users

AUTH_USER_MODEL = "accounts.User"
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

# Language and time

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = HTTPS
TIME_ZONE = "UTC"
USE_TZ = True
# ISO 3166-1 leaves XK to its users; the EU, the IMF and banks call Kosovo so.
COUNTRIES_OVERRIDE = {"XK": "Kosovo"}
PHONE_REGION = env.text("PHONE_REGION")

# Static files and media

STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(BASE_DIR / "staticfiles")))
# Only under hashed names: a file of any other name could be another version of itself.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
MEDIA_URL = "media/"
MEDIA_ROOT = Path(env.text("MEDIA_ROOT", str(BASE_DIR / "media")))
MEDIA_ACCEL_URL = env.url_path("MEDIA_ACCEL_URL")
UPLOAD_LIMIT_MB = env.number("UPLOAD_LIMIT_MB", default=25, least=1)  # 0 would mean no limit to nginx
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# API

REST_FRAMEWORK = {
    # The first one says how to authenticate, in the answer to whoever has not.
    "DEFAULT_AUTHENTICATION_CLASSES": (
        "core_apps.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ),
    "DEFAULT_PERMISSION_CLASSES": ("core_apps.api.access.RolePermission",),
    "DEFAULT_PARSER_CLASSES": ("core_apps.api.parsing.JSONParser",),
    "DEFAULT_RENDERER_CLASSES": ("rest_framework.renderers.JSONRenderer",),
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is a parameter like any other that is unknown
    "DEFAULT_SCHEMA_CLASS": "core_apps.api.schema.ApiSchema",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS would tell what the schema does
    "EXCEPTION_HANDLER": "core_apps.api.problems.handle",
}
SPECTACULAR_SETTINGS = {
    "TITLE": PROJECT_NAME,
    "DESCRIPTION": "Customers met at exhibitions, their visits, and the follow-ups.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    # What is only read is no part of what can be sent.
    "COMPONENT_SPLIT_REQUEST": True,
    # Names of their own: those that are made up change when another field takes the same name.
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
# Requests per minute: of a token, or of a person in the browser; and of an address that shows no valid token.
API_RATE_PER_TOKEN = env.number("API_RATE_PER_TOKEN", default=600, least=1)
API_RATE_OF_FAILURES = env.number("API_RATE_OF_FAILURES", default=30, least=1)

# Other origins whose pages may call the API with a token; a session is for our own pages alone.
CORS_ALLOWED_ORIGINS = env.words("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = (*default_headers, "idempotency-key", "if-match", "if-none-match")
CORS_EXPOSE_HEADERS = ("ETag", "Idempotency-Replayed", "Location", "Retry-After", "X-Request-Id")
if CORS_ALLOWED_ORIGINS:
    INSTALLED_APPS.append("corsheaders")  # its checks refuse what is no origin
    # Before all that answers: a browser shows no refusal that lacks these headers.
    MIDDLEWARE.insert(2, "corsheaders.middleware.CorsMiddleware")

# E-mail

EMAIL_BACKEND = env.text("EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.number("EMAIL_PORT", default=587)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env.secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", default=True)
EMAIL_TIMEOUT = 10  # seconds; a mail server that says nothing must not hold a request
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"{PROJECT_NAME} <noreply@localhost>")

# Security: one switch, because each of these without the others is either broken or unsafe.

SECURE_SSL_REDIRECT = HTTPS
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env.number("SECURE_HSTS_SECONDS", default=63_072_000) if HTTPS else 0  # two years
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
# Apart from the switch: browsers build the list of preloaded domains in, and a domain leaves it after months.
SECURE_HSTS_PRELOAD = env.flag("SECURE_HSTS_PRELOAD", default=False) and HTTPS
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
X_FRAME_OPTIONS = "DENY"

# What the pages may load, and nothing else; e2e/test_content_security_policy.py walks the admin with it. No nonces:
# the admin's own tags carry none.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "connect-src": [SELF],  # autocomplete, and the form for the stand
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Server, for config/gunicorn.py

WEB_HOST = env.text("WEB_HOST", "127.0.0.1")
PORT = env.number("PORT", default=8000)
WEB_CONCURRENCY = env.number("WEB_CONCURRENCY", default=0)
FORWARDED_ALLOW_IPS = env.text("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")

# Logging and error reports

LOGGING = build_logging_config(
    env.choice("LOG_FORMAT", ("auto", "json", "text")),
    env.choice("LOG_LEVEL", ("INFO", "DEBUG", "WARNING", "ERROR")),
)
SENTRY_DSN = env.secret("SENTRY_DSN")

env.refuse_faults()
start_sentry(SENTRY_DSN, environment=env.text("SENTRY_ENVIRONMENT", "production"))
