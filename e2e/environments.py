"""The variables that each container is given: those of its own work, by name."""

import json
import re
from typing import Any

from e2e.checkout import SOURCE
from e2e.stack import Stack, docker

# The settings of the application; a unit test compares this file with them.
APPLICATION = set(re.findall(r"^      ([A-Z_]+): ", (SOURCE / "docker/compose/application.yml").read_text(), re.M)) | {
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "BROKER_URL",
    "REDIS_URL",
    "SECRET_KEY",
}
DATABASE = {"POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD"}
ROLES = {"PGHOST", "PGUSER", "PGPASSWORD", "DATABASE", "APP_PASSWORD", "APP_OPTION"}
ROLES |= {"BACKUP_PASSWORD", "METRICS_PASSWORD"}
BACKUP = {"PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD", "POSTGRES_USER"}
BACKUP |= {"BACKUP_SCHEDULE", "BACKUP_AGE_RECIPIENTS", "BACKUP_REMOTE", "BACKUP_FAILURE_URL", "PITR_DAYS"}
# Of a remote that a test configures.
REMOTE = {"RCLONE_CONFIG_FAR_TYPE"}
NGINX = {"DOMAIN", "HTTPS_PORT", "TRUSTED_PROXIES", "UPLOAD_LIMIT_MB", "SECURE_HSTS_SECONDS", "SECURE_HSTS_PRELOAD"}
NGINX |= {"SITE_PASSWORD"}
GRAFANA = ("ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_REPORTING_ENABLED", "AUTH_ANONYMOUS_ENABLED")
GRAFANA += ("SECURITY_ADMIN_PASSWORD", "USERS_ALLOW_SIGN_UP")
BASIC = {"db": DATABASE, "roles": ROLES, "redis": set(), "broker": set()}
BASIC |= dict.fromkeys(("migrate", "web", "celery-worker"), APPLICATION)
PROD = BASIC | {
    "celery-certificates": APPLICATION,
    "celery-beat": APPLICATION,
    "db": DATABASE | {"PGDATA"},
    "redis": {"REDISCLI_AUTH"},
    "broker": {"REDISCLI_AUTH"},
    "nginx": NGINX,
    "certbot": {"DOMAIN", "LETSENCRYPT_EMAIL", "ACME_DIRECTORY"},
    "backup": BACKUP | REMOTE,
    "barman": BACKUP,
    "restore": BACKUP | {"APP_PASSWORD"},
    "drill": {"DATABASE_URL", "REDIS_URL", "BROKER_URL", "ALLOWED_HOSTS", "MEDIA_ROOT", "STATIC_ROOT"}
    | {"MEDIA_BUCKET", "AWS_REGION"},
}
CADDY = {name: variables for name, variables in PROD.items() if name not in ("nginx", "certbot")}
CADDY |= {"caddy": NGINX | {"LETSENCRYPT_EMAIL", "ACME_DIRECTORY", "SSL_CERT_DIR"}}
ALERTMANAGER = {"ALERT_EMAIL", "ALERT_WEBHOOK_URL", "ALERT_WATCHDOG_URL", "EMAIL_HOST", "EMAIL_PORT", "EMAIL_USE_TLS"}
REDIS_EXPORTER = {"REDIS_ADDR", "REDIS_PASSWORD", "REDIS_EXPORTER_CONNECTION_TIMEOUT", "SSL_CERT_FILE"}
OBSERVABILITY = {
    "prometheus": {"DOMAIN", "GOMEMLIMIT"},
    "alertmanager": ALERTMANAGER | {"EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD", "DEFAULT_FROM_EMAIL"},
    "postgres-exporter": {"DATA_SOURCE_URI", "DATA_SOURCE_USER", "DATA_SOURCE_PASS"},
    "redis-exporter": REDIS_EXPORTER,
    "broker-exporter": REDIS_EXPORTER,
    "nginx-exporter": set(),
    "blackbox-exporter": {"MONITORING_TOKEN"},
    "node-exporter": set(),
    "logs": {"LOGS_HOST", "LOGS_PORT", "SITE"},
    "grafana": {f"GF_{name}" for name in GRAFANA},
}


def list_variables(stack: Stack) -> dict[str, set[str]]:
    """The variables of each service, profiles included, as Compose reads the files."""
    services: dict[str, Any] = json.loads(stack.compose("--profile", "*", "config", "--format", "json"))["services"]
    return {name: set(service.get("environment") or ()) for name, service in services.items()}


def of_container(stack: Stack, service: str) -> set[str]:
    """The variables of the service's container, running or not."""
    return names(stack.inspect(service)["Config"]["Env"])


def of_image(stack: Stack, service: str) -> set[str]:
    return names(json.loads(docker("image", "inspect", stack.inspect(service)["Image"]))[0]["Config"]["Env"])


def names(variables: list[str]) -> set[str]:
    return {variable.partition("=")[0] for variable in variables}
