"""Settings: all from the environment; nothing has to be set for the default (contract, section 1)."""

from __future__ import annotations

import sys
from base64 import b64encode
from datetime import timedelta
from pathlib import Path
from secrets import token_bytes
from typing import Any

from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management.utils import get_random_secret_key
from psycopg.conninfo import conninfo_to_dict

from migrator_site.embedded import addresses
from migrator_site.given import environment, fernet_keys, listed, redis_url, switched_on, whole_number
from migrator_site.mail_server import mail_server
from migrator_site.presence import holder
from migrator_site.private import kept_secret, private_folder

BASE_DIR = Path(__file__).resolve().parent.parent
TESTING = "pytest" in sys.modules


def secret(name: str, make: str) -> str:
    """From the environment, else generated once and kept under MIGRATOR_HOME."""
    path = MIGRATOR_HOME / "secrets" / name.lower().replace("_", "-")
    return environment(name, "") or kept_secret(path, lambda: make)


def database(url: str) -> dict[str, Any]:
    """Django's form of a PostgreSQL URL; its parameters (sslmode=…) become options of the connection."""
    try:
        parts = conninfo_to_dict(url)
    except Exception as error:
        raise ImproperlyConfigured(
            "DATABASE_URL must be postgresql://user:password@host:port/name"
        ) from error
    named = {name: str(parts.pop(key, "") or "") for name, key in DJANGO_NAMES.items()}
    options = f"{KEPT_IN_A_CRASH} {parts.pop('options', '') or ''} {SERVER_PATIENCE}"
    return {
        "ENGINE": "django.db.backends.postgresql",
        **named,
        # A page's connection is kept for the next one; commands and workers open and close their own.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            "application_name": "migrator",
            **CLIENT_PATIENCE,
            **parts,
            "options": options,
        },
    }


CLIENT_PATIENCE = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
KEPT_IN_A_CRASH = "-c synchronous_commit=on"
# A worker that is frozen or cut off within a transaction must not hold its locks for ever.
SERVER_PATIENCE = (
    "-c lock_timeout=20s -c idle_in_transaction_session_timeout=30s -c client_connection_check_interval=5s"
    " -c tcp_keepalives_idle=30 -c tcp_keepalives_interval=10 -c tcp_keepalives_count=3 -c tcp_user_timeout=60000"
)

DJANGO_NAMES = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}

try:
    MIGRATOR_HOME = private_folder(
        Path(environment("MIGRATOR_HOME", str(BASE_DIR / "var"))).expanduser().absolute()
    )
    SECRET_KEY = secret("SECRET_KEY", get_random_secret_key())
    CREDENTIALS_KEY = fernet_keys(secret("CREDENTIALS_KEY", Fernet.generate_key().decode()))
    EVIDENCE_KEY: str = secret("EVIDENCE_KEY", b64encode(token_bytes(32)).decode())
    # While `make up` starts a server again that crashed, a command waits a moment for it.
    servers = addresses(MIGRATOR_HOME, patience=10 if holder(MIGRATOR_HOME) else 0)
except PermissionError as error:
    raise ImproperlyConfigured(
        f"{error.filename} is closed to you: run as the user who ran `make up`."
    ) from error
except OSError as error:
    raise ImproperlyConfigured(
        f"MIGRATOR_HOME must be a folder: {error.filename}: {error.strerror}."
    ) from error

DATABASE_FOUND = servers is not None and servers.database_runs
DATABASE_URL = servers.database_url if servers else "postgresql://127.0.0.1:1/no-server-was-ever-started"
REDIS_URL = redis_url(
    (servers.redis_url if servers else None) or environment("REDIS_URL", "redis://127.0.0.1:1/0")
)
EMBEDDED_ADMIN_URL = servers.admin_url if servers else None
"""A superuser of the embedded PostgreSQL, in its database `postgres`; None when DATABASE_URL is given."""

DEBUG = switched_on("DEBUG", "0")
DEMO = switched_on("DEMO", "1")
HTTPS = switched_on("HTTPS", "0")
HOST = environment("HOST", "127.0.0.1")
PORT = whole_number("PORT", 8000)
WORKERS = whole_number("WORKERS", 2)
WORKERS_AT_FIRST = whole_number("WORKERS_AT_FIRST", 2)
"""How many workers begin on a run's chunks; more are let in as they are measured to bring something."""
FEW_ROWS = 60_000
"""Of tables of at most so many rows any number of workers take chunks."""
PAGES_URL = environment("PAGES_URL", f"http://{HOST}:{PORT}").rstrip("/")
"""Where people reach the pages: what links in mails and chats begin with."""
WEBHOOK_HOSTS = listed("WEBHOOK_HOSTS", "")
"""Hosts of one's own network that webhooks may lead to; those of the internet always may."""
SECRET_VARIABLES = environment("SECRET_VARIABLES", "MIGRATOR_SECRET_")
SECRET_FILES = environment("SECRET_FILES", "")
"""What pages may use by name: variables that begin so, and files below that folder."""
PROMOTION_DAYS = whole_number("PROMOTION_DAYS", 14)
"""How old a verification in one environment may be to count for the next."""
DIFFERENCES_KEPT = whole_number("DIFFERENCES_KEPT", 1_000_000)
"""How many differences of a run are kept by key; all are counted."""
ONE_PASS_BYTES = whole_number("ONE_PASS_BYTES", 0)
"""From which size on a table whose keys lie at random is verified in whole passes; 0: the server's shared_buffers."""
FINGERPRINT_ROWS = whole_number("FINGERPRINT_ROWS", 10_000_000)
"""Of a target table of more rows a run takes no digest when it begins: its rollback is proved by their number alone."""
ALLOWED_HOSTS = listed("ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{HOST}")

EMAIL_HOST, EMAIL_PORT, EMAIL_HOST_USER, EMAIL_HOST_PASSWORD, EMAIL_USE_TLS, EMAIL_USE_SSL = mail_server(
    environment("EMAIL_URL", "")
)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = environment("EMAIL_FROM", "migrator@localhost")

INSTALLED_APPS = [
    "mappings",
    "jobs",
    "migrator_site",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_rq",
    "django_htmx",
    "axes",
    "django_ace",
]
# Opening RQ's own page runs its registries' clean-up, and any staff user may requeue there: it is not served.
RQ_SHOW_ADMIN_LINK = False
MIDDLEWARE = [
    "jobs.pages.one_run.shared_polls.SharedPolls",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "migrator_site.middleware.Compressed",
    "migrator_site.middleware.ContentSecurityPolicy",
    "migrator_site.middleware.Readable",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "migrator_site.middleware.Origin",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
ROOT_URLCONF = "migrator_site.urls"
WSGI_APPLICATION = "migrator_site.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {"default": database(DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
RQ_QUEUES = {
    "default": {
        "URL": REDIS_URL,
        "SERIALIZER": "rq.serializers.JSONSerializer",
        "REDIS_CLIENT_KWARGS": {"socket_connect_timeout": 5, "health_check_interval": 30},
    }
}

# Wrong passwords are counted by name and address, in the control database; each sign-in leaves a trace there.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AXES_HANDLER = "axes.handlers.database.AxesDatabaseHandler"
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "migrator_site.sign_in.client_address"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # or whoever goes on trying keeps it closed for ever
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "429.html"
AXES_VERBOSE = False  # a failure is logged all the same

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = MIGRATOR_HOME / "static"
FILE_UPLOAD_PERMISSIONS = None  # what is collected there is private as `prepare` says
MANIFEST = "whitenoise.storage.CompressedManifestStaticFilesStorage"
PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": PLAIN if DEBUG or TESTING else MANIFEST},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True
WHITENOISE_USE_FINDERS = DEBUG or TESTING

# A form sends a dozen fields for each column of a table, and half a dozen for each table of a mapping.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50_000
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if HTTPS:  # behind a proxy that ends TLS and sets (not passes on) X-Forwarded-Proto
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = ["^healthz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = whole_number("HSTS_SECONDS", 31_536_000)
# What is promised for sibling hosts (subdomains, preload) is for the owner of the domain to promise, in the proxy.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        # A command's own output is on stdout and stderr already; RQ repeats itself below warnings.
        "rq": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
    },
}
