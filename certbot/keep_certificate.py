"""Obtains the site's certificate, renews it with certbot when due, and passes it to nginx, in an endless loop.

Certbot knows when a certificate is due: when its authority says so (RFC 9773), else after two thirds of its lifetime,
or half of one below ten days.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

LINEAGES = Path("/etc/letsencrypt")
CHALLENGES = Path("/var/www/challenges")
ISSUED = Path("/certificates/issued.pem")
METRICS = Path("/metrics")
# The CA certificate of a private authority; empty for a public one.
CA_BUNDLE = Path("/etc/acme-ca.pem")

# Seconds. An authority may ask for an early renewal; and Let's Encrypt allows 5 failed validations an hour.
PAUSE, PAUSE_AFTER_FAILURE = 12 * 3600, 20 * 60
# More often for lifetimes of a few days.
CHECKS_IN_A_LIFETIME = 12
CERTBOT_SECONDS = 300
# Beginnings of certbot's output lines that do not explain a failure.
NOISE = ("- - -", "Saving debug log", "Ask for help", "See the logfile", "Processing /", "/etc/letsencrypt/")


@dataclass(frozen=True)
class Wanted:
    """The certificate that the settings require."""

    names: tuple[str, ...]
    directory: str
    email: str

    @classmethod
    def from_environment(cls) -> "Wanted":
        names = tuple(name.strip().lower() for name in os.environ["DOMAIN"].split(",") if name.strip())
        return cls(names, os.environ.get("ACME_DIRECTORY", ""), os.environ.get("LETSENCRYPT_EMAIL", "").strip())

    @property
    def lineage(self) -> str:
        """Certbot's name for it: other names or another authority give another lineage."""
        digest = hashlib.sha256(" ".join([self.directory, *sorted(self.names)]).encode())
        return f"{self.names[0]}-{digest.hexdigest()[:8]}"

    @property
    def chain(self) -> Path:
        """The path of the newest certificate of this lineage."""
        return LINEAGES / "live" / self.lineage / "fullchain.pem"


class CertbotError(Exception):
    """Certbot failed; the message is one line."""


def main() -> None:
    wanted = Wanted.from_environment()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Blocked, so that sigtimedwait receives it: `make prod-certificate` ends a pause.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if not wanted.email:
        log(
            "INFO",
            f"LETSENCRYPT_EMAIL is not set: nginx keeps its self-signed certificate for {', '.join(wanted.names)}",
        )
    while True:
        signal.sigtimedwait({signal.SIGHUP}, renew(wanted) if wanted.email else PAUSE)


def renew(wanted: Wanted) -> float:
    """Renew if due, and return the seconds until the next check."""
    pause, has_failed = float(PAUSE_AFTER_FAILURE), True
    try:
        run_certbot(wanted)
        pause, has_failed = seconds_to_next_check(install(wanted)), False
    except (CertbotError, OSError, ValueError) as error:
        retry = f"next try in {PAUSE_AFTER_FAILURE // 60} minutes"
        log("WARNING", f"no new certificate for {', '.join(wanted.names)}, {retry}: {error}")
    write_metrics(has_failed=has_failed)
    return pause


def write_metrics(*, has_failed: bool) -> None:
    """For node_exporter; on a full disk the former file stays."""
    partial = METRICS / "certbot.partial"
    with suppress(OSError):
        partial.write_text(f"certificate_renewal_failed {has_failed:d}\n", encoding="utf-8")
        partial.chmod(0o644)
        partial.replace(METRICS / "certbot.prom")


def run_certbot(wanted: Wanted) -> None:
    """Obtain the certificate, or renew it if due."""
    if wanted.chain.exists():
        # Unlike `certonly` it does not contact the authority if nothing is due.
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
        raise CertbotError(" ".join(line.strip() for line in lines if line and not line.startswith(NOISE))[:600])


def install(wanted: Wanted) -> x509.Certificate:
    """Write chain and key to one file for nginx, atomically, and return the certificate."""
    pem = wanted.chain.read_bytes() + wanted.chain.with_name("privkey.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    if not ISSUED.exists() or ISSUED.read_bytes() != pem:
        partial = ISSUED.with_suffix(".partial")
        partial.touch(mode=0o640)
        partial.write_bytes(pem)
        partial.replace(ISSUED)
        log("INFO", f"new certificate for {', '.join(wanted.names)}, serial {certificate.serial_number:x}")
    return certificate


def seconds_to_next_check(certificate: x509.Certificate) -> float:
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return min(PAUSE, lifetime.total_seconds() / CHECKS_IN_A_LIFETIME)


def log(level: str, message: str) -> None:
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"time": time, "level": level, "logger": "certbot", "message": message}))


if __name__ == "__main__":
    main()
