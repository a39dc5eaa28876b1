import subprocess
import sys
from pathlib import Path

from config.local.engines import scratch_directory
from config.local.pytest_plugin import replace_database

USER = """
import sys
from pathlib import Path
from config.local.engines import scratch_directory
with scratch_directory(Path(sys.argv[1])) as directory:
    print(directory, flush=True)
    sys.stdin.read()
"""


def test_scratch_directory_is_gone_afterwards(tmp_path: Path) -> None:
    with scratch_directory(tmp_path) as directory:
        assert directory.is_dir()
    assert list(tmp_path.glob("*/")) == []


def test_scratch_directory_of_another_process_is_removed_only_after_its_death(tmp_path: Path) -> None:
    command = [sys.executable, "-c", USER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        theirs = Path(other.stdout.readline().strip())
        with scratch_directory(tmp_path):
            assert theirs.is_dir()
        other.kill()
    with scratch_directory(tmp_path) as directory:
        assert list(tmp_path.glob("*/")) == [directory]


def test_worker_uses_a_redis_database_after_that_of_the_url() -> None:
    assert replace_database("redis://:pw@127.0.0.1:6379/2", 3) == "redis://:pw@127.0.0.1:6379/5"
    assert replace_database("rediss://host", 1) == "rediss://host/1"
