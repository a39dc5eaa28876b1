import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from config.local import postgresql
from config.local.engines import engines, stop
from config.local.postgresql import AS_NOBODY, IN_NAMESPACE
from config.local.servers import RunError, find_binary

USER = """
import sys
from pathlib import Path
from config.local import postgresql
from config.local.engines import engines, stop
from config.local.postgresql import AS_NOBODY, IN_NAMESPACE
with engines(Path(sys.argv[1]), durable=False):
    print("up", flush=True)
    sys.stdin.read()
"""


@contextmanager
def user_of(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that uses the engines until its standard input is closed."""
    command = [sys.executable, "-c", USER, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        yield process


def query(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url, connect_timeout=2)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def processes_of(home: Path) -> list[str]:
    """Names of the processes that work in the directory, children included."""
    processes = psutil.process_iter(["name", "cwd"])
    return sorted(p.info["name"] for p in processes if (p.info["cwd"] or "").startswith(str(home)))


def pid_file(home: Path) -> Path:
    return home / "postgres" / "postmaster.pid"


@pytest.fixture(scope="module")
def initialized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose engines are stopped."""
    home = tmp_path_factory.mktemp("initialized")
    with engines(home, durable=False):
        pass
    return home


def test_engines_in_new_directory_answer_and_stop(tmp_path: Path) -> None:
    with engines(tmp_path / "new", durable=False) as running:
        assert query(running["DATABASE_URL"], "SHOW server_encoding") == [("UTF8",)]
        with redis.Redis.from_url(running["REDIS_URL"]) as client:
            assert client.ping() is True
    assert processes_of(tmp_path) == []
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_engines_without_the_password_refuse(tmp_path: Path) -> None:
    with engines(tmp_path, durable=False) as running:
        password = (tmp_path / "password").read_text()
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            query(running["DATABASE_URL"].replace(password, "wrong"), "SELECT 1")
        with (
            redis.Redis.from_url(running["REDIS_URL"].replace(password, "wrong")) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        processes = psutil.process_iter(["cmdline"])
        assert [process for process in processes if password in " ".join(process.info["cmdline"] or ())] == []


def test_external_engine_is_not_started(tmp_path: Path) -> None:
    with engines(tmp_path, external=["DATABASE_URL"]) as running:
        assert list(running) == ["REDIS_URL", "BROKER_URL"]
        assert processes_of(tmp_path) == ["valkey-server", "valkey-server"]


def test_engines_with_a_second_user_stop_after_the_last(tmp_path: Path) -> None:
    with user_of(tmp_path) as other:
        with engines(tmp_path, durable=False) as running:
            pass
        assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]
        other.communicate()
    assert processes_of(tmp_path) == []


def test_engines_of_a_killed_user_are_adopted_and_stopped(tmp_path: Path) -> None:
    with user_of(tmp_path) as other:
        postmaster = pid_file(tmp_path).read_text()
        other.kill()
    with engines(tmp_path, durable=False) as running:
        assert pid_file(tmp_path).read_text() == postmaster
        assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize("content", ["", "99", "999999\n/elsewhere\n", "not a number\n"])
def test_postgresql_with_a_broken_pid_file_starts(initialized: Path, content: str) -> None:
    pid_file(initialized).write_text(content)
    with engines(initialized, durable=False) as running:
        assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_other_process_with_the_recorded_pid_is_not_stopped(initialized: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as foreign:
        pid_file(initialized).write_text(f"{foreign.pid}\n{initialized / 'postgres'}\n0\n5432\n")
        stop(initialized)
        with engines(initialized, durable=False) as running:
            assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]
        assert foreign.poll() is None
        foreign.kill()


@pytest.mark.parametrize(
    ("prefix", "user", "hindrance"),
    [
        (IN_NAMESPACE, "root", "this kernel forbids user namespaces"),
        (AS_NOBODY, "nobody", "the account nobody cannot enter this checkout"),
    ],
)
def test_postgresql_as_root_serves_from_a_private_directory(
    prefix, user, hindrance, tmp_path: Path, monkeypatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only as root does PostgreSQL run as another user")
    if subprocess.run([*prefix, "test", "-x", find_binary("postgres")], capture_output=True).returncode:
        pytest.skip(hindrance)
    monkeypatch.setattr(postgresql, "get_unprivileged_prefix", lambda: prefix)
    tmp_path.chmod(0o700)
    with engines(tmp_path / "engines", durable=False) as running:
        pid = int(pid_file(tmp_path / "engines").read_text().split()[0])
        assert psutil.Process(pid).username() == user
        assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_postgresql_killed_in_use_recovers_with_its_data(tmp_path: Path) -> None:
    with user_of(tmp_path) as other:
        with engines(tmp_path, durable=False) as running:
            query(running["DATABASE_URL"], "CREATE TABLE kept AS SELECT 7 AS number")
            query(running["DATABASE_URL"], "CHECKPOINT")
        psutil.Process(int(pid_file(tmp_path).read_text().split()[0])).kill()
        other.kill()
    with engines(tmp_path, durable=False) as running:
        assert query(running["DATABASE_URL"], "SELECT number FROM kept") == [(7,)]
    assert processes_of(tmp_path) == []


def test_postgresql_interrupted_while_initializing_starts_again(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")
    with engines(tmp_path, durable=False) as running:
        assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]


def test_postgresql_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    with engines(tmp_path, durable=False):
        pass
    (tmp_path / "postgres" / "global" / "pg_control").unlink()
    with pytest.raises(RunError, match="PostgreSQL does not start") as raised, engines(tmp_path):
        pass
    assert "could not find the database system" in str(raised.value)
    assert processes_of(tmp_path) == []


def test_engines_in_two_directories_do_not_meet(tmp_path: Path) -> None:
    with engines(tmp_path / "a", durable=False) as a, engines(tmp_path / "b", durable=False) as b:
        query(a["DATABASE_URL"], "CREATE TABLE only_a ()")
        assert query(b["DATABASE_URL"], "SELECT to_regclass('only_a')") == [(None,)]
        assert set(a.values()).isdisjoint(b.values())


def test_engines_in_a_path_of_150_characters_start(tmp_path: Path) -> None:
    home = tmp_path / ("d" * (149 - len(str(tmp_path))))
    assert len(str(home)) == 150
    with engines(home, durable=False) as running:
        assert query(running["DATABASE_URL"], "SELECT 1") == [(1,)]
