"""Creates or completes the prod tier's env file: `python3 -m deploy.init FILE [DOMAIN [LETSENCRYPT_EMAIL]]`.

A secret that is set is never changed.
"""

import re
import socket
import sys
from pathlib import Path

from deploy import env_file
from deploy.deployments import MAKE
from deploy.secrets import main as generate_secrets

SECRETS = ["SECRET_KEY", "REDIS_PASSWORD", "GRAFANA_PASSWORD", "MONITORING_TOKEN"]
SECRETS += [f"POSTGRES_{role}PASSWORD" for role in ("", "APP_", "BACKUP_", "METRICS_")]
NAME = re.compile(r"localhost|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Domains reserved for documentation (RFC 2606), and common placeholders.
PLACEHOLDER = re.compile(
    r"(^|[.@])example\.(com|net|org)$|change.?me|your.?(domain|email|password)|placeholder|^secret$", re.I
)
SELF_SIGNED = f"""Configured for localhost, with a self-signed certificate: fine for a first try.
For a server with a domain name: {MAKE}-init DOMAIN=crm.your-company.com LETSENCRYPT_EMAIL=you@your-company.com"""
CHECK = """Check before `{make}-up`:
  - DNS: {describe_dns}
  - ports 80 and 443 of this server are reachable from the internet, and no other program listens on them
  - firewall: open 80 and 443, tcp; Docker bypasses ufw, but this tier publishes only these two"""


def main(path: Path, domain: str = "", email: str = "") -> None:
    wanted = {"DOMAIN": domain.lower().replace(" ", ""), "LETSENCRYPT_EMAIL": email}
    is_new = not path.exists()
    if is_new and not domain:
        wanted["DOMAIN"] = "localhost"
    changes = {name: value for name, value in wanted.items() if value}
    exit_on_errors(find_errors(env_file.read(path) | changes))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if changes:
        env_file.change(path, changes)
    generate_secrets(path, SECRETS)
    move_remotes(path)
    if wanted["DOMAIN"] == "localhost":
        print(SELF_SIGNED)
    elif domain:
        print(CHECK.format(make=MAKE, describe_dns="; ".join(map(describe_dns, wanted["DOMAIN"].split(",")))))


def move_remotes(path: Path) -> None:
    """Move rclone's variables into a file of their own, which only the backups are given."""
    target = path.with_name(".env.rclone")
    if remotes := env_file.move(path, target, "RCLONE_"):
        print(f"Moved {', '.join(remotes)} to {target}: only the backups may know them.")


def find_errors(values: dict[str, str]) -> list[str]:
    names = values.get("DOMAIN", "").split(",")
    errors = [f"DOMAIN: {name!r} is not a host name" for name in names if not NAME.fullmatch(name)]
    email = values.get("LETSENCRYPT_EMAIL", "")
    if email and not EMAIL.fullmatch(email):
        errors.append(f"LETSENCRYPT_EMAIL: {email!r} is not an e-mail address")
    if email and "localhost" in names:
        errors.append(
            "LETSENCRYPT_EMAIL: no authority issues certificates for localhost; leave it blank for a self-signed one"
        )
    if not email and "localhost" not in names and names != [""]:
        errors.append("LETSENCRYPT_EMAIL: is missing; Let's Encrypt requires it")
    checked = {"DOMAIN": names, "LETSENCRYPT_EMAIL": [email]}
    checked |= {name: [values.get(name, "")] for name in SECRETS}
    placeholders = [name for name, parts in checked.items() if any(map(PLACEHOLDER.search, parts))]
    return errors + [f"{name}: is a placeholder; set your own value" for name in placeholders]


def exit_on_errors(errors: list[str]) -> None:
    if errors:
        sys.exit("The tier cannot start with these settings:\n" + "\n".join(f"  - {error}" for error in errors))


def describe_dns(name: str) -> str:
    try:
        addresses = sorted({str(info[4][0]) for info in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)})
    except OSError:
        return f"{name} has no address yet; create an A record (and AAAA) for this server"
    return f"{name} resolves to {', '.join(addresses)}: that must be this server"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *(argument.strip() for argument in sys.argv[2:]))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
