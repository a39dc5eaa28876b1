"""Keeps the site's certificate: obtains it, renews it in time and hands it to nginx; runs until it is stopped.

Certbot knows when a certificate is due: when its authority says so (RFC 9773), else after two thirds of its lifetime,
or half of one below ten days. Decided here is when certbot is asked, and when it must not be.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
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
# Lines of certbot's that say nothing about a failure.
CHATTER = (
    *("- - -", "Saving debug log", "Account registered", "Requesting a certificate", "Processing /", "Renewing an"),
    *(
        "Simulating",
        "Hint:",
        "Ask for help",
        "See the logfile",
        "All renewals failed",
        "/etc/letsencrypt/",
        "1 renew f",
    ),
)
# What a person should look at, where certbot tells of the libraries that it is made of.
MEANINGS = {
    "CERTIFICATE_VERIFY_FAILED": "ACME_CA_BUNDLE does not vouch for the authority at ACME_DIRECTORY",
    "Failed to resolve": "this server finds no address for the authority at ACME_DIRECTORY",
    "Connection refused": "nobody listens at ACME_DIRECTORY",
    "timed out": "the authority at ACME_DIRECTORY does not answer",
}


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

    @property
    def settings(self) -> str:
        """Whoever changes one of them may have repaired what failed."""
        try:
            bundle = private_authority()
        except NoCertificateError as error:
            bundle = str(error).encode()
        return hashlib.sha256("\n".join([self.lineage, self.email, ""]).encode() + bundle).hexdigest()[:16]


class NoCertificateError(Exception):
    """Why there is none, in one line."""


@dataclass
class Attempts:
    """The failures since the last success, kept over restarts so that these cannot use up the authority's patience."""

    settings: str
    failures: int = 0
    not_before: float = 0  # seconds since the epoch
    reason: str = ""

    @staticmethod
    def file() -> Path:
        return LINEAGES / "attempts.json"

    @classmethod
    def load(cls, settings: str) -> "Attempts":
        """Those with these settings; others start with none."""
        try:
            attempts = cls(**json.loads(cls.file().read_text()))
        except (OSError, ValueError, TypeError):
            return cls(settings)
        return attempts if attempts.settings == settings else cls(settings)

    def seconds_to_wait(self) -> float:
        # A clock that was set back must not make it longer.
        return min(self.not_before - time.time(), BACK_OFF[-1])

    def fail(self, reason: str) -> float:
        """Note a failure and return the seconds until the next try."""
        pause = BACK_OFF[min(self.failures, len(BACK_OFF) - 1)]
        self.failures, self.not_before, self.reason = self.failures + 1, time.time() + pause, reason
        try:
            write(self.file(), json.dumps(asdict(self)))
        except OSError as error:
            say("ERROR", f"a restart will not know of this failure: {error}")
        return pause

    def forget(self) -> None:
        self.failures, self.not_before, self.reason = 0, 0, ""
        self.file().unlink(missing_ok=True)


def main() -> None:
    wanted = Wanted.from_environment()
    attempts = Attempts.load(wanted.settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Waited for in rest(), and kept until then.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if not wanted.email:
        say("INFO", f"LETSENCRYPT_EMAIL is not set: nginx keeps its self-signed certificate for {listed(wanted.names)}")
    while True:
        if rest(step(wanted, attempts) if wanted.email else LONGEST_PAUSE):
            attempts.forget()


def rest(seconds: float) -> bool:
    """Wait, with a sign of life; true as soon as SIGHUP says «try now»: the name or the firewall was repaired."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        HEARTBEAT.touch()
        if signal.sigtimedwait({signal.SIGHUP}, min(left, 30)):
            return True
    return False


def step(wanted: Wanted, attempts: Attempts) -> float:
    """Ask certbot, unless a failure is too recent; return the seconds until the next time."""
    HEARTBEAT.touch()
    if (early := attempts.seconds_to_wait()) > 0:
        say("WARNING", f"waiting for {duration(early)}, tries that failed: {attempts.failures}: {attempts.reason}")
        return early
    try:
        ask_certbot(wanted)
        certificate = hand_over(wanted)
    except (NoCertificateError, OSError, ValueError) as error:
        pause = attempts.fail(str(error))
        undone = "not renewed" if wanted.chain.exists() else "not obtained"
        say("WARNING", f"certificate for {listed(wanted.names)} {undone}, next try in {duration(pause)}: {error}")
        warn_of_expiry()
        return pause
    attempts.forget()
    return pause_between_checks(certificate)


def ask_certbot(wanted: Wanted) -> None:
    """Obtain the certificate, or renew it where it is due."""
    if wanted.chain.exists():
        # Unlike `certonly` it needs no authority as long as nothing is due.
        command = ["certbot", "renew", "--no-random-sleep-on-renew"]
    else:
        command = ["certbot", "certonly", "--agree-tos", "--email", wanted.email, "--server", wanted.directory]
        command += ["--webroot", "--webroot-path", str(CHALLENGES), "--domains", ",".join(wanted.names)]
    command += ["--cert-name", wanted.lineage, "--non-interactive", "--max-log-backups", "5"]
    command += ["--config-dir", str(LINEAGES), "--work-dir", "/tmp/work", "--logs-dir", "/tmp/logs"]  # noqa: S108
    environment = os.environ | ({"REQUESTS_CA_BUNDLE": str(CA_BUNDLE)} if private_authority() else {})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CERTBOT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise NoCertificateError(f"certbot did not end within {CERTBOT_SECONDS} s") from error
    if done.returncode:
        raise NoCertificateError(summary(done.stdout + done.stderr))


def private_authority() -> bytes:
    """What ACME_CA_BUNDLE holds; nothing where it is not set."""
    try:
        bundle = CA_BUNDLE.read_bytes()
    except IsADirectoryError as error:  # Docker makes one where the file to mount is missing
        raise NoCertificateError("ACME_CA_BUNDLE names a file that does not exist") from error
    except PermissionError as error:
        raise NoCertificateError(f"ACME_CA_BUNDLE names a file that user {os.getuid()} may not read") from error
    if bundle and b"-----BEGIN CERTIFICATE-----" not in bundle:
        raise NoCertificateError("ACME_CA_BUNDLE names a file without a certificate in PEM form")
    return bundle


def summary(output: str) -> str:
    """Certbot's own explanation in one line, without its advice to a person at a terminal."""
    lines = [line.strip() for line in output.splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith(CHATTER))
    said = re.sub(r"An unexpected error occurred: |Failed to renew certificate \S+ with error: ", "", said)[:600]
    meanings = [meaning for words, meaning in MEANINGS.items() if words in said]
    return ": ".join([*meanings, said])


def hand_over(wanted: Wanted) -> x509.Certificate:
    """Give nginx the chain with its key, in one file, so that it never sees the one without the other."""
    pem = wanted.chain.read_bytes() + wanted.chain.with_name("privkey.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(pem)
    if not ISSUED.exists() or ISSUED.read_bytes() != pem:
        write(ISSUED, pem.decode())
        say("INFO", f"new certificate for {listed(wanted.names)}: {described(certificate)}")
    return certificate


def pause_between_checks(certificate: x509.Certificate) -> float:
    lifetime = (certificate.not_valid_after_utc - certificate.not_valid_before_utc).total_seconds()
    return min(LONGEST_PAUSE, lifetime / CHECKS_IN_A_LIFETIME)


def issued() -> x509.Certificate | None:
    """What nginx was given; nothing where that is no certificate."""
    try:
        return x509.load_pem_x509_certificate(ISSUED.read_bytes())
    except (OSError, ValueError):
        return None


def warn_of_expiry() -> None:
    certificate = issued()
    if certificate and share_left(certificate) < WORRYING_SHARE:
        say("ERROR", f"the certificate is about to expire: {described(certificate)}")


def share_left(certificate: x509.Certificate) -> float:
    """Of the lifetime: 1 for a new certificate, 0 and below for an expired one."""
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return (certificate.not_valid_after_utc - datetime.now(UTC)) / lifetime


def described(certificate: x509.Certificate) -> str:
    lifetime = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    left = (certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()
    rest_of_it = f"{duration(left)} of {duration(lifetime.total_seconds())} left" if left > 0 else "expired"
    return f"issued by {certificate.issuer.rfc4514_string()}, serial {certificate.serial_number:x}, {rest_of_it}"


def duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if round(seconds) >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"


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
