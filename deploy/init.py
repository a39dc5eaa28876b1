"""Writes or completes the prod tier's env file: `python3 -m deploy.init FILE [DOMAIN [LETSENCRYPT_EMAIL]]`.

A secret that is set is never changed.
"""

import re
import socket
import sys
from pathlib import Path

from deploy import env_file
from deploy.secrets import main as generate_secrets

SECRETS = ["SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD"]
NAME = re.compile(r"localhost|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Domains that exist for documentation (RFC 2606), and what env files are shipped with.
PLACEHOLDER = re.compile(
    r"(^|[.@])example\.(com|net|org)$|change.?me|your.?(domain|email|password)|placeholder|^secret$", re.I
)
SELF_SIGNED = """It is for https://localhost/, with a self-signed certificate, of which browsers warn: good to try it.
For a server with a name: make prod-init DOMAIN=crm.your-company.com LETSENCRYPT_EMAIL=you@your-company.com"""
CHECK = """Check before `make prod-up`:
  - DNS: {resolution}
  - ports 80 and 443 of this server can be reached from the internet, and nothing else listens there
  - firewall: open 80 and 443, tcp; Docker publishes ports past ufw, and this tier publishes these two alone"""


def main(path: Path, domain: str = "", email: str = "") -> None:
    wanted = {"DOMAIN": domain.lower().replace(" ", ""), "LETSENCRYPT_EMAIL": email}
    is_new = not path.exists()
    if is_new and not domain:
        wanted["DOMAIN"] = "localhost"
    changes = {name: value for name, value in wanted.items() if value}
    refuse(faults(env_file.read(path) | changes))
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if changes:
        env_file.change(path, changes)
    generate_secrets(path, SECRETS)
    if wanted["DOMAIN"] == "localhost":
        print(SELF_SIGNED)
    elif domain:
        print(CHECK.format(resolution="; ".join(map(resolution, wanted["DOMAIN"].split(",")))))


def faults(values: dict[str, str]) -> list[str]:
    names = values.get("DOMAIN", "").split(",")
    found = [f"DOMAIN: {name!r} is not a host name" for name in names if not NAME.fullmatch(name)]
    email = values.get("LETSENCRYPT_EMAIL", "")
    if email and not EMAIL.fullmatch(email):
        found.append(f"LETSENCRYPT_EMAIL: {email!r} is not an e-mail address")
    if email and "localhost" in names:
        found.append(
            "LETSENCRYPT_EMAIL: no authority certifies localhost; leave it blank for a self-signed certificate"
        )
    if not email and "localhost" not in names and names != [""]:
        found.append("LETSENCRYPT_EMAIL: is missing; Let's Encrypt asks for it")
    shown = {"DOMAIN": names, "LETSENCRYPT_EMAIL": [email]}
    shown |= {name: [values.get(name, "")] for name in SECRETS}
    placeholders = [name for name, parts in shown.items() if any(map(PLACEHOLDER.search, parts))]
    return found + [f"{name}: is a placeholder; put your own" for name in placeholders]


def refuse(found: list[str]) -> None:
    if found:
        sys.exit("The prod tier cannot start like this:\n" + "\n".join(f"  - {fault}" for fault in found))


def resolution(name: str) -> str:
    try:
        addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)})
    except OSError:
        return f"{name} has no address yet; make an A record (and AAAA) for this server"
    return f"{name} is {', '.join(addresses)}: that must be this server"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *(argument.strip() for argument in sys.argv[2:]))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
