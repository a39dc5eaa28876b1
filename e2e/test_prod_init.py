"""`make prod-init`: what it writes, keeps and refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.checkout import SOURCE

SECRETS = ("SECRET_KEY", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "MONITORING_TOKEN")
SECRETS += tuple(f"POSTGRES_{role}PASSWORD" for role in ("", "APP_", "BACKUP_", "METRICS_"))
RIGHT = ("crm.trade-fair.test", "crm@trade-fair.test")


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".envs/.env.production"


def prod_init(env_file: Path, *arguments: str, fails: bool = False) -> str:
    """Return its output."""
    command = [sys.executable, "-m", "deploy.init", str(env_file), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=SOURCE)
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def values(env_file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in env_file.read_text().splitlines())


def test_name_and_address_are_written_with_fresh_secrets(env_file: Path) -> None:
    said = prod_init(env_file, *RIGHT)
    written = values(env_file)
    assert (written["DOMAIN"], written["LETSENCRYPT_EMAIL"]) == RIGHT
    assert all(re.fullmatch(r"[\w-]{64}", written[name]) for name in SECRETS)
    assert len({written[name] for name in SECRETS}) == len(SECRETS)
    assert not [name for name in SECRETS if written[name] in said]
    for check in ("crm.trade-fair.test has no address yet", "ports 80 and 443", "firewall"):
        assert check in said


def test_file_is_for_its_owner_alone(env_file: Path) -> None:
    prod_init(env_file)
    assert [path.stat().st_mode & 0o777 for path in (env_file.parent, env_file)] == [0o700, 0o600]


def test_nothing_given_means_localhost_without_an_authority(env_file: Path) -> None:
    said = prod_init(env_file)
    assert values(env_file).keys() == {"DOMAIN", "COMPOSE_PROJECT", *SECRETS}
    assert values(env_file)["DOMAIN"] == "localhost"
    assert "localhost, with a self-signed certificate" in said


def test_staging_is_told_its_own_commands(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMANDS", "staging")
    said = prod_init(env_file) + prod_init(env_file, *RIGHT)
    assert re.findall(r"make (\S+)-(?:init|up)", said) == ["staging", "staging"]


def test_second_run_changes_no_secret_and_says_nothing(env_file: Path) -> None:
    prod_init(env_file, *RIGHT)
    before = env_file.read_text()
    assert prod_init(env_file) == ""
    assert env_file.read_text() == before


def test_other_name_replaces_the_name_alone(env_file: Path) -> None:
    prod_init(env_file)
    before = values(env_file)
    env_file.write_text(env_file.read_text() + "# ours\nEMAIL_HOST=mail.trade-fair.test\n")
    prod_init(env_file, "CRM.trade-fair.test, www.trade-fair.test", RIGHT[1])
    kept = [line for line in env_file.read_text().splitlines() if not line.startswith("#")]
    after = dict(line.split("=", 1) for line in kept)
    assert after.pop("DOMAIN") == "crm.trade-fair.test,www.trade-fair.test"
    assert after.pop("LETSENCRYPT_EMAIL") == RIGHT[1]
    assert after.pop("EMAIL_HOST") == "mail.trade-fair.test"
    assert after == {name: before[name] for name in ("COMPOSE_PROJECT", *SECRETS)}


def test_secret_that_is_lacking_is_generated_and_the_others_stay(env_file: Path) -> None:
    prod_init(env_file, *RIGHT)
    before = values(env_file)
    env_file.write_text(env_file.read_text().replace(before["REDIS_PASSWORD"], ""))
    assert "Generated REDIS_PASSWORD in" in prod_init(env_file)
    text = env_file.read_text()
    assert all(f"{name}={before[name]}\n" in text for name in ("SECRET_KEY", "POSTGRES_PASSWORD"))
    assert before["REDIS_PASSWORD"] not in text


def test_remotes_of_backups_get_a_file_of_their_own(env_file: Path) -> None:
    prod_init(env_file, *RIGHT)
    before = env_file.read_text()
    env_file.write_text(f"{before}RCLONE_CONFIG_FAR_TYPE=s3\nRCLONE_CONFIG_FAR_SECRET_ACCESS_KEY=7431\n")
    said = prod_init(env_file)
    assert "Moved RCLONE_CONFIG_FAR_TYPE, RCLONE_CONFIG_FAR_SECRET_ACCESS_KEY to " in said
    assert "7431" not in said
    assert env_file.read_text() == before
    moved = env_file.with_name(".env.rclone")
    assert moved.read_text() == "RCLONE_CONFIG_FAR_TYPE=s3\nRCLONE_CONFIG_FAR_SECRET_ACCESS_KEY=7431\n"
    assert moved.stat().st_mode & 0o777 == 0o600


def test_remotes_keep_their_quotes(env_file: Path) -> None:
    """Compose would expand the dollar sign, and take the rest for a comment."""
    prod_init(env_file, *RIGHT)
    line = "RCLONE_CONFIG_FAR_PASS='a$b # c'\n"
    env_file.write_text(f"{env_file.read_text()}{line}")
    prod_init(env_file)
    assert env_file.with_name(".env.rclone").read_text() == line


@pytest.mark.parametrize(
    ("domain", "email", "fault"),
    [
        ("crm.example.com", RIGHT[1], "DOMAIN: is a placeholder; set your own value"),
        (RIGHT[0], "you@example.com", "LETSENCRYPT_EMAIL: is a placeholder; set your own value"),
        ("crm_1.trade-fair.test", RIGHT[1], "DOMAIN: 'crm_1.trade-fair.test' is not a host name"),
        ("https://crm.trade-fair.test", RIGHT[1], "DOMAIN: 'https://crm.trade-fair.test' is not a host name"),
        ("*.trade-fair.test", RIGHT[1], "DOMAIN: '*.trade-fair.test' is not a host name"),
        ("crm.trade-fair.test,", RIGHT[1], "DOMAIN: '' is not a host name"),
        ("192.0.2.77", RIGHT[1], "DOMAIN: '192.0.2.77' is not a host name"),
        (RIGHT[0], "", "LETSENCRYPT_EMAIL: is missing; Let's Encrypt requires it"),
        (RIGHT[0], "nobody", "LETSENCRYPT_EMAIL: 'nobody' is not an e-mail address"),
        ("localhost", RIGHT[1], "LETSENCRYPT_EMAIL: no authority issues certificates for localhost; leave it blank"),
    ],
)
def test_wrong_value_is_refused_and_nothing_is_written(env_file: Path, domain: str, email: str, fault: str) -> None:
    assert f"  - {fault}" in prod_init(env_file, domain, email, fails=True)
    assert not env_file.exists()


@pytest.mark.parametrize("name", [*SECRETS, "DOMAIN"])
def test_placeholder_in_the_file_is_refused_by_name(env_file: Path, name: str) -> None:
    prod_init(env_file, *RIGHT)
    env_file.write_text(f"{env_file.read_text()}{name}=changeme-7431\n")
    said = prod_init(env_file, fails=True)
    assert f"  - {name}: is a placeholder; set your own value" in said
    assert "7431" not in said or name == "DOMAIN"


def test_secret_in_the_shape_of_none_is_not_mistaken(env_file: Path) -> None:
    """Random secrets must not contain a placeholder by chance."""
    prod_init(env_file, *RIGHT)
    env_file.write_text(f"{env_file.read_text()}POSTGRES_PASSWORD=secretly-Qx9-example-com-7Tz\n")
    prod_init(env_file)
