"""Obtains the site's certificate, has certbot renew it when it is due, and hands it to nginx; until it is stopped.

Certbot knows when a certificate is due: when its authority says so (RFC 9773), else after two thirds of its lifetime,
or half of one below ten days.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

LINEAGES = Path("/etc/letsencrypt")
CHALLENGES = Path("/var/www/challenges")
ISSUED = Path("/certificates/issued.pem")
# A private authority's certificate; an empty file where the authority is a public one.
CA_BUNDLE = Path("/etc/acme-ca.pem")

# Seconds. An authority may ask for an early renewal; and Let's Encrypt allows 5 failed validations an hour.
PAUSE, PAUSE_AFTER_FAILURE = 12 * 3600, 20 * 60
# Oftener where a lifetime is days or less.
CHECKS_IN_A_LIFETIME = 12
CERTBOT_SECONDS = 300
# Lines of certbot's that say nothing about a failure.
CHATTER = ("- - -", "Saving debug log", "Ask for help", "See the logfile", "Processing /", "/etc/letsencrypt/")


@dataclass(frozen=True)
class Wanted:
    """The certificate that the environment asks for."""

    names: tuple[str, ...]
    directory: str
    email: str

    @classmethod
    def from_environment(cls) -> "Wanted":
        names = tuple(name.strip().lower() for name in os.environ["DOMAIN"].split(",") if name.strip())
        return cls(names, os.environ.get("ACME_DIRECTORY", ""), os.environ.get("LETSENCRYPT_EMAIL", "").strip())

    @property
    def lineage(self) -> str:
        """Certbot's name for it: another authority or other names make another one, and nothing is mistaken for it."""
        digest = hashlib.sha256(" ".join([self.directory, *sorted(self.names)]).encode())
        return f"{self.names[0]}-{digest.hexdigest()[:8]}"

    @property
    def chain(self) -> Path:
        """Where certbot puts the newest certificate of this lineage."""
        return LINEAGES / "live" / self.lineage / "fullchain.pem"


class CertbotError(Exception):
    """Why there is no certificate, in one line."""


def main() -> None:
    wanted = Wanted.from_environment()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Waited for below, and kept until then: `make prod-certificate` ends a pause.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if not wanted.email:
        say(
            "INFO",
            f"LETSENCRYPT_EMAIL is not set: nginx keeps its self-signed certificate for {', '.join(wanted.names)}",
        )
    while True:
        signal.sigtimedwait({signal.SIGHUP}, renew(wanted) if wanted.email else PAUSE)


def renew(wanted: Wanted) -> float:
    """Return the seconds until the next time."""
    try:
        run_certbot(wanted)
        return pause_of(hand_over(wanted))
    except (CertbotError, OSError, ValueError) as error:
        again = f"next try in {PAUSE_AFTER_FAILURE // 60} minutes"
        say("WARNING", f"no new certificate for {', '.join(wanted.names)}, {again}: {error}")
        return PAUSE_AFTER_FAILURE


def run_certbot(wanted: Wanted) -> None:
    """Obtain the certificate, or renew it where it is due."""
    if wanted.chain.exists():
        # Unlike `certonly` it needs no authority as long as nothing is due.
        command = ["certbot", "renew", "--no-random-sleep-on-renew"]
    else:
        command = ["certbot", "certonly", "--agree-tos", "--email", wanted.email, "--server", wanted.directory]
        command += ["--webroot", "--webroot-path", str(CHALLENGES), "--domains", ",".join(wanted.names)]
    command += ["--cert-name", wanted.lineage, "--non-interactive", "--max-log-backups", "5"]
    command += ["--config-dir", str(LINEAGES), "--work-dir", "/tmp/work", "--logs-dir", "/tmp/logs"]  # noqa: S108
    environment = os.environ | ({"REQUESTS_CA_BUNDLE": str(CA_BUNDLE)} if CA_BUNDLE.stat().st_size else {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CERTBOT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise CertbotError(f"certbot did not end within {CERTBOT_SECONDS} s") from error
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        raise CertbotError(" ".join(line.strip() for line in lines if line and not line.startswith(CHATTER))[:600])


def hand_over(wanted: Wanted) -> x509.Certificate:
    """Give nginx the chain with its key, in one file, so that it never sees the one without the other."""
    pem = wanted.chain.read_bytes() + wanted.chain.with_name("privkey.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    if not ISSUED.exists() or ISSUED.read_bytes() != pem:
        partial = ISSUED.with_suffix(".partial")
        partial.touch(mode=0o640)
        partial.write_bytes(pem)
        partial.replace(ISSUED)
        say("INFO", f"new certificate for {', '.join(wanted.names)}, serial {certificate.serial_number:x}")
    return certificate


def pause_of(certificate: x509.Certificate) -> float:
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return min(PAUSE, lifetime.total_seconds() / CHECKS_IN_A_LIFETIME)


def say(level: str, message: str) -> None:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"time": time, "level": level, "logger": "certbot", "message": message}))


if __name__ == "__main__":
    main()
