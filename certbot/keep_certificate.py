"""Keeps the site's certificate: obtains it, renews it in time and hands it to nginx; runs until it is stopped.

Certbot knows when a certificate is due: when its authority says so (RFC 9773), else after two thirds of its lifetime,
or half of one below ten days. Decided here is when certbot is asked, and when it must not be.
"""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

LINEAGES = Path("/etc/letsencrypt")
CHALLENGES = Path("/var/www/challenges")
ISSUED = Path("/certificates/issued.pem")
# A private authority's certificate; an empty file where the authority is a public one.
CA_BUNDLE = Path("/etc/acme-ca.pem")
HEARTBEAT = Path("/tmp/heartbeat")  # noqa: S108 - the container's own

# Seconds after the first failure, the second, and every later one. Let's Encrypt allows 5 failed validations an hour.
BACK_OFF = (60, 600, 6000)
# At least twice a day, as an authority may ask for an early renewal; oftener where a lifetime is days or less.
LONGEST_PAUSE, CHECKS_IN_A_LIFETIME = 12 * 3600, 12
CERTBOT_SECONDS = 300
# Below this share of its lifetime a certificate should long have been renewed.
WORRYING_SHARE = 0.25


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


@dataclass
class Attempts:
    """The failures since the last success, kept over restarts so that these cannot use up the authority's patience."""

    lineage: str
    failures: int = 0
    not_before: float = 0  # seconds since the epoch
    reason: str = ""

    @staticmethod
    def file() -> Path:
        return LINEAGES / "attempts.json"

    @classmethod
    def load(cls, lineage: str) -> "Attempts":
        """Those of this lineage; a new wish starts with none."""
        try:
            attempts = cls(**json.loads(cls.file().read_text()))
        except (OSError, ValueError, TypeError):
            return cls(lineage)
        return attempts if attempts.lineage == lineage else cls(lineage)

    def fail(self, reason: str) -> float:
        """Note a failure and return the seconds until the next try."""
        pause = BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
        self.failures, self.not_before, self.reason = self.failures + 1, time.time() + pause, reason
        write(self.file(), json.dumps(asdict(self)))
        return pause

    def forget(self) -> None:
        self.failures, self.not_before, self.reason = 0, 0, ""
        self.file().unlink(missing_ok=True)


def main() -> None:
    wanted = Wanted.from_environment()
    wake = threading.Event()
    attempts = Attempts.load(wanted.lineage)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # «Try now»: for whoever has just repaired the name or the firewall.
    signal.signal(signal.SIGHUP, lambda *_: (attempts.forget(), wake.set()))
    if not wanted.email:
        say("INFO", f"LETSENCRYPT_EMAIL is not set: nginx keeps its self-signed certificate for {listed(wanted.names)}")
    while True:
        rest(step(wanted, attempts) if wanted.email else LONGEST_PAUSE, wake)


def rest(seconds: float, wake: threading.Event) -> None:
    """Wait, with a sign of life; SIGHUP ends it early."""
    end = time.time() + seconds
    while (left := end - time.time()) > 0 and not wake.is_set():
        HEARTBEAT.touch()
        wake.wait(min(left, 30))
    wake.clear()


def step(wanted: Wanted, attempts: Attempts) -> float:
    """Ask certbot, unless a failure is too recent; return the seconds until the next time."""
    HEARTBEAT.touch()
    if (early := attempts.not_before - time.time()) > 0:
        say("WARNING", f"waiting for {early:.0f} s after {attempts.failures} failed tries: {attempts.reason}")
        return early
    if reason := ask_certbot(wanted):
        pause = attempts.fail(reason)
        say("WARNING", f"no certificate for {listed(wanted.names)}, next try in {pause / 60:.0f} min: {reason}")
        warn_of_expiry()
        return pause
    attempts.forget()
    return pause_between_checks(hand_over(wanted))


def ask_certbot(wanted: Wanted) -> str:
    """Obtain the certificate, or renew it where it is due; return why that failed, or nothing."""
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--email", wanted.email]
    command += ["--server", wanted.directory, "--webroot", "--webroot-path", str(CHALLENGES)]
    command += ["--cert-name", wanted.lineage, "--domains", ",".join(wanted.names), "--keep-until-expiring"]
    command += ["--config-dir", str(LINEAGES), "--work-dir", "/tmp/work", "--logs-dir", "/tmp/logs"]  # noqa: S108
    command += ["--max-log-backups", "5"]
    private_authority = {"REQUESTS_CA_BUNDLE": str(CA_BUNDLE)} if CA_BUNDLE.stat().st_size else {}
    try:
        done = subprocess.run(
            command, env=os.environ | private_authority, capture_output=True, text=True, timeout=CERTBOT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"certbot did not end within {CERTBOT_SECONDS} s"
    return summary(done.stdout + done.stderr) if done.returncode else ""


def summary(output: str) -> str:
    """Certbot's own explanation in one line, without its advice to a person at a terminal."""
    advice = ("Ask for help", "See the logfile", "Saving debug log", "Hint:", "- - -")
    lines = [line.strip() for line in output.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(advice))[:600]


def hand_over(wanted: Wanted) -> x509.Certificate:
    """Give nginx the chain with its key, in one file, so that it never sees the one without the other."""
    live = LINEAGES / "live" / wanted.lineage
    pem = (live / "fullchain.pem").read_text() + (live / "privkey.pem").read_text()
    certificate = x509.load_pem_x509_certificate(pem.encode())
    if not ISSUED.exists() or ISSUED.read_text() != pem:
        write(ISSUED, pem)
        say("INFO", f"new certificate for {listed(wanted.names)}: {described(certificate)}")
    return certificate


def pause_between_checks(certificate: x509.Certificate) -> float:
    lifetime = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()
    return min(LONGEST_PAUSE, lifetime / CHECKS_IN_A_LIFETIME)


def warn_of_expiry() -> None:
    if not ISSUED.exists():
        return
    certificate = x509.load_pem_x509_certificate(ISSUED.read_bytes())
    if share_left(certificate) < WORRYING_SHARE:
        say("ERROR", f"the certificate is about to expire: {described(certificate)}")


def share_left(certificate: x509.Certificate) -> float:
    """Of the lifetime: 1 for a new certificate, 0 and below for an expired one."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / lifetime


def described(certificate: x509.Certificate) -> str:
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    return (
        f"issued by {certificate.issuer.rfc4514_string()}, serial {certificate.serial_number:x},"
        f" {left.total_seconds() / 86400:.1f} of {lifetime.total_seconds() / 86400:.1f} days left"
    )


def listed(names: tuple[str, ...]) -> str:
    return ", ".join(names)


def write(path: Path, text: str) -> None:
    """Complete or not at all, for this user and nginx's group."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def say(level: str, message: str) -> None:
    time_utc = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    print(json.dumps({"time": time_utc, "level": level, "logger": "certbot", "message": message}))


if __name__ == "__main__":
    main()
