"""When certbot is asked, and when not: the keeper itself, with a stand-in for certbot and a directory for volumes."""

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import trustme
from cryptography import x509

from e2e.checkout import SOURCE

REFUSAL = "DNS problem: NXDOMAIN looking up A for crm.test"


@pytest.fixture(scope="module")
def programs() -> Iterator[tuple[ModuleType, ModuleType]]:
    """keep_certificate and served_certificate, imported as they import each other."""
    sys.path.insert(0, str(SOURCE / "certbot"))
    try:
        import keep_certificate
        import served_certificate

        yield keep_certificate, served_certificate
    finally:
        sys.path.remove(str(SOURCE / "certbot"))


@pytest.fixture
def keeper(programs: tuple[ModuleType, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Its paths are in tmp_path, and certbot notes that it was asked and refuses."""
    for module in programs:
        for name in ("LINEAGES", "ISSUED", "CA_BUNDLE", "HEARTBEAT"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, tmp_path / name)
    (tmp_path / "LINEAGES").mkdir()
    (tmp_path / "CA_BUNDLE").touch()
    certbot = tmp_path / "certbot"
    certbot.write_text(f'#!/bin/sh\necho asked >> {tmp_path}/asked\necho "{REFUSAL}" >&2\nexit 1\n')
    certbot.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DOMAIN", "crm.test, WWW.crm.test")
    monkeypatch.setenv("LETSENCRYPT_EMAIL", "crm@trade-fair.test")
    monkeypatch.setenv("ACME_DIRECTORY", "https://pebble:14000/dir")
    return programs[0]


def times_asked(directory: Path) -> int:
    file = directory / "asked"
    return file.read_text().count("asked") if file.exists() else 0


def certificate(lifetime: timedelta, age: timedelta = timedelta()) -> x509.Certificate:
    start = datetime.now(UTC) - age
    leaf = trustme.CA().issue_cert("crm.test", not_before=start, not_after=start + lifetime)
    return x509.load_pem_x509_certificate(leaf.cert_chain_pems[0].bytes())


def test_pauses_after_failures_are_1_10_and_100_minutes(keeper: ModuleType) -> None:
    attempts = keeper.Attempts.load("settings")
    pauses = [attempts.fail(REFUSAL) for _ in range(5)]
    assert pauses == [60, 600, 6000, 6000, 6000]
    print(f"pauses after failures, in minutes: {[pause / 60 for pause in pauses]}")


def test_restart_within_the_pause_does_not_ask(
    keeper: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = keeper.Wanted.from_environment()
    assert keeper.step(wanted, keeper.Attempts.load(wanted.settings)) == 60
    said = [f"certificate for crm.test, www.crm.test not obtained, next try in 60 seconds: {REFUSAL}"]
    for _ in range(3):
        assert 58 < keeper.step(wanted, keeper.Attempts.load(wanted.settings)) <= 60
        said.append(f"waiting for 60 seconds, tries that failed: 1: {REFUSAL}")
    assert times_asked(tmp_path) == 1
    assert [line.split('"message": ')[1].strip('"}\n') for line in capsys.readouterr().out.splitlines()] == said


def test_changed_setting_is_tried_at_once(keeper: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("DOMAIN", "crm.test"),
        ("LETSENCRYPT_EMAIL", "other@trade-fair.test"),
        ("ACME_DIRECTORY", "https://production:14000/dir"),
    ):
        wanted = keeper.Wanted.from_environment()
        keeper.step(wanted, keeper.Attempts.load(wanted.settings))
        monkeypatch.setenv(name, value)
        assert keeper.Attempts.load(keeper.Wanted.from_environment().settings).failures == 0
    assert times_asked(tmp_path) == 3


def test_order_of_names_makes_no_other_certificate(keeper: ModuleType) -> None:
    first = keeper.Wanted(("crm.test", "a.test", "b.test"), "directory", "e-mail")
    second = keeper.Wanted(("crm.test", "b.test", "a.test"), "directory", "e-mail")
    assert first.lineage == second.lineage
    assert first.lineage != keeper.Wanted(("crm.test", "a.test"), "directory", "e-mail").lineage
    assert first.lineage != keeper.Wanted(first.names, "other", "e-mail").lineage


def test_clock_set_back_a_day_waits_no_longer_than_the_longest_pause(keeper: ModuleType) -> None:
    attempts = keeper.Attempts("settings", failures=1, not_before=time.time() + 86400)
    assert attempts.seconds_to_wait() == 6000


def test_full_disk_ends_no_keeper(keeper: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    keeper.LINEAGES.rmdir()
    assert keeper.Attempts("settings").fail(REFUSAL) == 60
    assert "a restart will not know of this failure: [Errno 2]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("lifetime", "pause"),
    [
        (timedelta(days=90), timedelta(hours=12)),
        (timedelta(days=45), timedelta(hours=12)),
        (timedelta(hours=160), timedelta(hours=12)),
        (timedelta(days=2), timedelta(hours=4)),
        (timedelta(seconds=120), timedelta(seconds=10)),
    ],
)
def test_certificate_is_checked_twice_a_day_and_oftener_where_it_lives_shorter(
    keeper: ModuleType, lifetime: timedelta, pause: timedelta
) -> None:
    assert keeper.pause_between_checks(certificate(lifetime)) == pause.total_seconds()


@pytest.mark.parametrize(
    ("lifetime", "age", "said"),
    [
        (timedelta(days=90), timedelta(hours=1), "90 days of 90 days left"),
        (timedelta(hours=160), timedelta(hours=130), "30 hours of 7 days left"),
        (timedelta(seconds=120), timedelta(seconds=60), "(59|60) seconds of 2 minutes left"),
        (timedelta(days=90), timedelta(days=91), "expired"),
    ],
)
def test_time_left_is_told_in_a_unit_that_fits(
    keeper: ModuleType, lifetime: timedelta, age: timedelta, said: str
) -> None:
    # A certificate begins at a whole second, up to one before now.
    assert re.fullmatch(said, keeper.described(certificate(lifetime, age)).rpartition(", ")[2])


def test_try_now_ends_a_rest(keeper: ModuleType) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        threading.Timer(0.2, signal.pthread_kill, [threading.get_ident(), signal.SIGHUP]).start()
        start = time.monotonic()
        assert keeper.rest(6000) is True
        assert time.monotonic() - start < 5
        assert keeper.rest(0.1) is False
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: (path.unlink(), path.mkdir()), "ACME_CA_BUNDLE names a file that does not exist"),
        (
            lambda path: path.write_text("secret"),
            "ACME_CA_BUNDLE names a file without a certificate in PEM form",
        ),
    ],
)
def test_useless_bundle_is_explained_without_asking(
    keeper: ModuleType, tmp_path: Path, spoil: object, reason: str
) -> None:
    spoil(keeper.CA_BUNDLE)  # type: ignore[operator]
    wanted = keeper.Wanted.from_environment()
    attempts = keeper.Attempts.load(wanted.settings)
    keeper.step(wanted, attempts)
    assert (attempts.reason, times_asked(tmp_path)) == (reason, 0)


@pytest.mark.parametrize("text", ["", "no certificate", b"\xff\xfe\x00"])
def test_spoiled_certificate_in_nginx_volume_ends_no_keeper(keeper: ModuleType, text: str | bytes) -> None:
    keeper.ISSUED.write_bytes(text if isinstance(text, bytes) else text.encode())
    wanted = keeper.Wanted.from_environment()
    assert keeper.step(wanted, keeper.Attempts.load(wanted.settings)) == 60
    assert keeper.issued() is None


@pytest.mark.parametrize(("age", "said"), [(timedelta(days=67), 0), (timedelta(days=68), 1)])
def test_failure_below_a_quarter_of_the_lifetime_is_an_error(
    keeper: ModuleType, capsys: pytest.CaptureFixture[str], age: timedelta, said: int
) -> None:
    start = datetime.now(UTC) - age
    leaf = trustme.CA().issue_cert("crm.test", not_before=start, not_after=start + timedelta(days=90))
    keeper.ISSUED.write_bytes(leaf.cert_chain_pems[0].bytes())
    wanted = keeper.Wanted.from_environment()
    keeper.step(wanted, keeper.Attempts.load(wanted.settings))
    assert capsys.readouterr().out.count('"level": "ERROR"') == said


def test_keeper_without_a_sign_of_life_is_unhealthy(
    keeper: ModuleType, programs: tuple[ModuleType, ModuleType]
) -> None:
    wanted = keeper.Wanted.from_environment()
    frozen = "keep_certificate.py has shown no sign of life for 10 minutes"
    assert programs[1].health(wanted) == frozen
    keeper.HEARTBEAT.touch()
    os.utime(keeper.HEARTBEAT, (time.time() - 601,) * 2)
    assert programs[1].health(wanted) == frozen
    # Longer than certbot may take, which is the longest time without one.
    assert programs[1].HEARTBEAT_SECONDS > keeper.CERTBOT_SECONDS
    assert programs[1].HEARTBEAT_SECONDS > 30
