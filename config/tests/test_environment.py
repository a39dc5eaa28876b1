import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from config.environment import Environment

CHECKOUT = Path(__file__).resolve().parents[2]
VALID = {
    "SECRET_KEY": "kR7vQ2mZ9xL4tB8nW3cF6hJ1pD5gS0yA-uE_iO7kR7vQ2mZ9xL4tB8nW",
    "ALLOWED_HOSTS": "crm.example.com",
    "DATABASE_URL": "postgresql://crm:p%40ss@db:5432/exhibition",
    "REDIS_URL": "redis://:secret@redis:6379/0",
    "BROKER_URL": "redis://:secret@broker:6379/0",
}


def start(**changes: str) -> subprocess.CompletedProcess[str]:
    """Run the deployment check in a new process with only these variables."""
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings"} | VALID | changes
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def find_errors(result: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^  - (\w+)", result.stderr, re.MULTILINE)


def test_deployment_check_with_production_defaults_is_clean():
    """Except for HSTS preloading, which the owner of a domain has to decide."""
    default, preloaded = start(), start(SECURE_HSTS_PRELOAD="true")

    assert re.findall(r"\b[a-z]+\.[CEWID]\d{3}\b", default.stderr) == ["security.W021"]
    assert default.stderr.endswith("System check identified 1 issue (0 silenced).\n")
    assert (preloaded.returncode, preloaded.stdout) == (0, "System check identified no issues (0 silenced).\n")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SECRET_KEY": ""}, ["SECRET_KEY"]),
        ({"SECRET_KEY": "short-but-random-kR7vQ2mZ9x"}, ["SECRET_KEY"]),
        ({"SECRET_KEY": "changeme" * 8}, ["SECRET_KEY"]),
        ({"SECRET_KEY": "django-insecure-" + "kR7vQ2mZ9xL4" * 5}, ["SECRET_KEY"]),
        ({"SECRET_KEY": "a" * 64}, ["SECRET_KEY"]),
        ({"SECRET_KEY_FALLBACKS": "short"}, ["SECRET_KEY_FALLBACKS"]),
        ({"ALLOWED_HOSTS": ""}, ["ALLOWED_HOSTS"]),
        ({"ALLOWED_HOSTS": "crm.example.com,*"}, ["ALLOWED_HOSTS"]),
        ({"DEBUG": "true"}, ["DEBUG"]),
        ({"DEBUG": "true", "ALLOWED_HOSTS": "localhost,8.8.8.8"}, ["DEBUG"]),
        ({"DEBUG": "perhaps"}, ["DEBUG"]),
        *(
            ({"ALLOWED_HOSTS": hosts}, ["ALLOWED_HOSTS"])
            for hosts in ("https://crm.example.com", "localhost:8000", "a b")
        ),
        ({"PHONE_REGION": "Germany"}, ["PHONE_REGION"]),
        ({"PHONE_REGION": "de"}, ["PHONE_REGION"]),
        *(
            ({"TIME_ZONE": zone}, ["TIME_ZONE"])
            for zone in ("Berlin", "CET", "localtime", "Europe/Entenhausen", "UTC+1")
        ),
        ({"CONN_MAX_AGE": "soon"}, ["CONN_MAX_AGE"]),
        ({"DATABASE_LOCK_TIMEOUT": "-1"}, ["DATABASE_LOCK_TIMEOUT"]),
        ({"DATABASE_URL": ""}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "mysql://crm@db/exhibition"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://crm@db:port/exhibition"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://crm@db"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://crm@[::1/exhibition"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://crm:ChangeMe@db/exhibition"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://crm:change%2Dme-1@db/exhibition"}, ["DATABASE_URL"]),
        ({"DATABASE_URL": "postgresql://crm@db/exhibition?password=placeholder"}, ["DATABASE_URL"]),
        ({"REDIS_URL": "redis://:your-secret@redis:6379/0"}, ["REDIS_URL"]),
        ({"REDIS_URL": "localhost:6379"}, ["REDIS_URL"]),
        ({"REDIS_URL": "redis://:secret@redis:99999/0"}, ["REDIS_URL"]),
        ({"UPLOAD_LIMIT_MB": "0"}, ["UPLOAD_LIMIT_MB"]),
        ({"MEDIA_ACCEL_URL": "protected-media/"}, ["MEDIA_ACCEL_URL"]),
        ({"MEDIA_ACCEL_URL": "/protected-media"}, ["MEDIA_ACCEL_URL"]),
        ({"MEDIA_ACCEL_URL": "//protected-media/"}, ["MEDIA_ACCEL_URL"]),
        ({"MEDIA_ACCEL_URL": "/"}, ["MEDIA_ACCEL_URL"]),
        ({"MEDIA_BUCKET": "crm.photos", "AWS_REGION": "eu-central-1"}, ["MEDIA_BUCKET"]),
        ({"MEDIA_BUCKET": "crm-photos"}, ["AWS_REGION"]),
        (
            {"MEDIA_BUCKET": "crm-photos", "AWS_ENDPOINT_URL": "s3.example.com", "AWS_ACCESS_KEY_ID": "key"},
            ["AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY"],
        ),
        ({"STATIC_HOST": "https://cdn.example.com/static/"}, ["STATIC_HOST"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector.example.com:4318"}, ["OTEL_EXPORTER_OTLP_ENDPOINT"]),
        ({"SECURE_HSTS_PRELOAD": "perhaps", "HTTPS": "false"}, ["SECURE_HSTS_PRELOAD"]),
        ({"LOG_FORMAT": "xml"}, ["LOG_FORMAT"]),
        (
            {"WHATSAPP_TOKEN": "t", "WHATSAPP_PHONE_NUMBER_ID": "1"},
            ["WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"],
        ),
        ({"SECRET_KEY_FILE": "/nonexistent/secret"}, ["SECRET_KEY_FILE"]),
        ({"DATABASE_URL_FILE": "/"}, ["DATABASE_URL_FILE"]),
    ],
)
def test_start_with_an_invalid_variable_names_it(changes, expected):
    result = start(**changes)

    assert find_errors(result) == expected
    assert result.returncode == 1


def test_start_with_many_errors_lists_them_all_without_values():
    wrong = {
        "SECRET_KEY": "placeholder-marker-1",
        "ALLOWED_HOSTS": "*",
        "DATABASE_URL": "marker-2://crm:marker-3@db",
        "REDIS_URL": "marker-4",
        "DEBUG": "marker-5",
        "EMAIL_PORT": "marker-6",
    }

    result = start(**wrong)

    assert find_errors(result) == ["DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "EMAIL_PORT"]
    assert "marker" not in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_placeholder_password_is_refused_without_showing_it():
    result = start(DATABASE_URL="postgresql://crm:changeme-marker@db/exhibition")

    assert "  - DATABASE_URL has a placeholder as its password: generate a random one\n" in result.stderr
    assert "marker" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "changes",
    [
        {"DATABASE_URL": "postgresql://dev_user:dev_pass_123@db:5432/exhibition_db_dev"},
        {"DATABASE_URL": "postgresql://example@db.example.com/changeme"},
        {"REDIS_URL": "redis://redis:6379/0"},
        {"MEDIA_ACCEL_URL": "/protected-media/"},
    ],
)
def test_start_with_an_unusual_variable_is_allowed(changes):
    assert find_errors(start(**changes)) == []


@pytest.mark.parametrize("hosts", ["localhost,127.0.0.1,[::1]", "web,10.0.0.7,.localhost", "crm.test"])
def test_debug_with_private_hosts_is_allowed(hosts):
    assert find_errors(start(DEBUG="true", ALLOWED_HOSTS=hosts)) == []


def test_secret_from_a_file_is_read_without_its_newline(tmp_path, monkeypatch):
    (tmp_path / "key").write_text(VALID["SECRET_KEY"] + "\n")
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.setenv("SECRET_KEY_FILE", str(tmp_path / "key"))

    env = Environment(tmp_path / ".env")

    assert (env.get_secret_key(), env.errors) == (VALID["SECRET_KEY"], {})


def test_environment_takes_precedence_over_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("PHONE_REGION=DE\nEMAIL_HOST=mail.example.com\n")
    monkeypatch.setenv("PHONE_REGION", "GB")
    monkeypatch.delenv("EMAIL_HOST", raising=False)

    env = Environment(tmp_path / ".env")

    assert (env.get_text("PHONE_REGION"), env.get_text("EMAIL_HOST")) == ("GB", "mail.example.com")


def test_blank_variable_means_the_default(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("EMAIL_HOST=mail.example.com\n")
    monkeypatch.setenv("EMAIL_HOST", " ")

    assert Environment(tmp_path / ".env").get_text("EMAIL_HOST", "localhost") == "localhost"


def test_secret_key_fallbacks_are_split_at_commas(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_KEY_FALLBACKS", f"{VALID['SECRET_KEY']}, {VALID['SECRET_KEY'][::-1]}")

    assert Environment(tmp_path / ".env").get_secret_key_fallbacks() == [VALID["SECRET_KEY"], VALID["SECRET_KEY"][::-1]]


def test_database_url_with_encoded_characters_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://c%2Frm:p%40ss@db.internal/exhibition?sslmode=require")

    assert Environment(tmp_path / ".env").get_database() == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "exhibition",
        "USER": "c/rm",
        "PASSWORD": "p@ss",
        "HOST": "db.internal",
        "PORT": "",
        "OPTIONS": {"sslmode": "require"},
    }


def test_database_url_with_a_directory_as_host_uses_its_socket(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://crm@%2Frun%2Fpostgresql/exhibition")

    assert Environment(tmp_path / ".env").get_database()["HOST"] == "/run/postgresql"


def test_url_instead_of_a_host_is_refused_with_the_right_form():
    result = start(ALLOWED_HOSTS="https://crm.example.com:8000/")

    assert "contains https://crm.example.com:8000/: write host names only, such as crm.example.com\n" in result.stderr


def find_settings() -> set[str]:
    """Return the variables that the source of the settings and of Gunicorn's configuration reads."""
    source = "".join(
        (CHECKOUT / "config" / f"{name}.py").read_text() for name in ("settings", "environment", "gunicorn")
    )
    calls = r"(?:env|self|os\.environ)\.(?:get_\w+|_get_url|get)\(\s*\"([A-Z_]+)\""
    return set(re.findall(calls, source))


def find_compose_variables() -> set[str]:
    """Return the variables of the compose files, except those that the Makefile or Compose sets."""
    files = [*CHECKOUT.glob("docker-compose*.yml"), *CHECKOUT.glob("docker/compose/*.yml")]
    names = {name for file in files for name in re.findall(r"\$\{([A-Z_]+)", file.read_text())}
    exported = set(re.findall(r"^export (\w+)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    return names - exported - {"COMPOSE_PROJECT_NAME"}


def find_deploy_variables() -> set[str]:
    """Return the variables that only `make prod-deploy` reads."""
    return set(re.findall(r'deployments\.variable\("([A-Z_]+)"\)', (CHECKOUT / "deploy/release.py").read_text()))


def test_env_example_lists_exactly_the_variables_in_use():
    lines = (CHECKOUT / ".env.example").read_text(encoding="utf-8")

    from_compose = {"COMPOSE_FILE", "COMPOSE_PROFILES"}
    assert set(re.findall(r"^#?([A-Z_]+)=", lines, re.MULTILINE)) == (
        find_settings() | find_compose_variables() | find_deploy_variables() | from_compose
    )


def test_containers_are_given_every_setting_by_name():
    of_each_tier = {"ALLOWED_HOSTS", "BROKER_URL", "DATABASE_URL", "REDIS_URL", "SECRET_KEY"}
    of_the_image = {"MEDIA_ROOT", "PORT", "PROBE_PORT", "STATIC_ROOT", "WEB_HOST"}
    given = re.findall(
        r"^ +([A-Z_]+): \$\{\1:-\}$", (CHECKOUT / "docker/compose/application.yml").read_text(), re.MULTILINE
    )

    # The dev tier alone has DEBUG.
    assert set(given) == find_settings() - of_each_tier - of_the_image - {"DEBUG"}


def test_env_example_defaults_are_those_of_the_settings():
    lines = dict(re.findall(r"^#([A-Z_]+)=(.+)$", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))
    named = {name: str(getattr(settings, name)) for name in lines if hasattr(settings, name)}
    rates = ("API_RATE_PER_TOKEN", "API_RATE_OF_FAILURES")
    for name in ("STATIC_ROOT", "MEDIA_ROOT", *rates):  # a test run has its own
        named.pop(name)

    assert {name: lines[name] for name in named} == {
        name: value.lower() if value in ("True", "False") else value for name, value in named.items()
    }


def test_env_example_names_every_secret_that_can_come_from_a_file():
    source = (CHECKOUT / "config/settings.py").read_text() + (CHECKOUT / "config/environment.py").read_text()
    secrets = set(re.findall(r"(?:get_secret|get_pairs|get_redis_url|_get_url)\(\"([A-Z_]+)\"", source))

    assert set(re.findall(r"\b(?!COMPOSE)([A-Z_]+)_FILE\b", (CHECKOUT / ".env.example").read_text())) == secrets
