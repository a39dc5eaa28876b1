"""A prod tier that archives WAL on a small disk of its own, somebody who writes, and somebody who hears of failures."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Thread

from e2e.backups.tier import Service
from e2e.stack import Stack, seconds_until

KEEP_MB = 64
# The archive's own disk; checks that need no minutes; and somebody who is called about failures.
OVERLAY = f"""
services:
  db:
    command:
      - postgres
      - -c
      - hba_file=/etc/postgresql/pg_hba.conf
      - -c
      - summarize_wal=on
      - -c
      - max_slot_wal_keep_size={KEEP_MB}MB
  backup:
    healthcheck: {{interval: 3s}}
  hook:
    image: python:3.13-slim-trixie
    networks: [outside]
    init: true
    command:
      - python
      - -uc
      - |
        from http.server import BaseHTTPRequestHandler, HTTPServer
        class Hook(BaseHTTPRequestHandler):
            def do_POST(self):
                print(self.rfile.read(int(self.headers["Content-Length"])).decode())
                self.send_response(204)
                self.end_headers()
        HTTPServer(("", 8000), Hook).serve_forever()
volumes:
  wal_archive:
    driver_opts: {{type: tmpfs, device: tmpfs, o: "size=512m,uid=10001,gid=10001,mode=0700"}}
"""
INSERT = "INSERT INTO writes DEFAULT VALUES RETURNING at \\watch 0.01\n"


@dataclass
class Writer:
    """Somebody who writes a row each hundredth of a second, and knows which of them the database has confirmed."""

    process: subprocess.Popen[str]
    confirmed: list[datetime] = field(default_factory=list)

    def read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if re.match(r"\d{4}-\d\d-\d\d ", line):
                self.confirmed.append(datetime.fromisoformat(line.strip()))


class PointInTime(Service):
    """A tier with an archive, and a table in which each row has its time."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        stack.environment |= {"WAL_ARCHIVE": "1", "BACKUP_FAILURE_URL": "http://hook:8000/"}
        stack.overlay("point-in-time.yml", OVERLAY)
        stack.make("prod-up")
        seconds_until(lambda: len(self.bases()) == 1, 30)
        self.make_table()

    def make_table(self) -> None:
        self.sql("CREATE TABLE writes (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())")

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        command = ["docker", "exec", "-i", "-e", "PGTZ=UTC", self.stack.container("db")]
        process = subprocess.Popen(
            [*command, "psql", "-qtAX", "-U", "exhibition"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        writer = Writer(process)
        reader = Thread(target=writer.read)
        reader.start()
        assert process.stdin
        assert process.stdout
        process.stdin.write(INSERT)
        process.stdin.flush()
        try:
            seconds_until(lambda: len(writer.confirmed) > 50, 30)
            yield writer
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdin.close()
            process.stdout.close()

    def rows(self) -> list[datetime]:
        return [datetime.fromisoformat(line) for line in self.sql("SELECT at FROM writes ORDER BY id").split("\n")]

    def now(self) -> datetime:
        return datetime.fromisoformat(self.sql("SELECT clock_timestamp()"))

    def archives(self) -> list[str]:
        return self.shell("ls /wal").split()

    def bases(self) -> list[str]:
        """Of the archive that continues."""
        return self.shell("cd /wal && cd $(ls | tail -n 1) && ls base").split()

    def segments(self) -> list[int]:
        """Their numbers, in the archive that continues."""
        names = self.shell("cd /wal && cd $(ls -d 2* | tail -n 1) && ls segments").split()
        return [int(name[8:16] + name[22:24], 16) for name in names]

    def restore_to(self, moment: datetime) -> str:
        return self.stack.make("prod-restore-to", f"TIME={moment.isoformat(' ')}", "FORCE=1")

    def recover(self, moment: datetime) -> str:
        """The name of the backup that this makes."""
        return re.findall(r" is backup (\w+),", self.run("recover", moment.isoformat(" ")))[0]

    def ranges(self) -> list[tuple[datetime, datetime]]:
        found = re.findall(r"^archive +any moment from (\S+ \S+) to (\S+ \S+)$", self.run("status"), re.M)
        return [(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in found]

    def slot(self) -> str:
        """Its state, or nothing where there is none."""
        return self.sql("SELECT wal_status || CASE WHEN active THEN ', active' ELSE '' END FROM pg_replication_slots")

    def log_says(self, pattern: str, since: float = 0) -> bool:
        lines = [line for line in self.log() if datetime.fromisoformat(line["time"]).timestamp() >= since]
        return any(re.search(pattern, line["message"]) for line in lines)

    def hook_says(self, pattern: str) -> bool:
        return bool(re.search(pattern, self.stack.logs("hook")))

    def flip(self, file: str, offset: int) -> None:
        """One bit of the byte there."""
        code = "import sys; f = open(sys.argv[1], 'r+b'); n = int(sys.argv[2]); f.seek(n); b = f.read(1)[0]; f.seek(n)"
        self.stack.within("backup", "python3", "-c", f"{code}; f.write(bytes([b ^ 1]))", file, str(offset))

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """But for ten megabytes, which is less than a segment."""
        free = int(self.shell("df --output=avail -B 1 /wal | tail -n 1"))
        self.shell(f"fallocate -l {free - 10 * 2**20} /wal/ballast")
        try:
            yield
        finally:
            self.shell("rm /wal/ballast")

    def write_wal(self, segments: int) -> None:
        one = "SELECT pg_logical_emit_message(true, 'e2e', 'x')", "SELECT pg_switch_wal()"
        arguments = [part for _ in range(segments) for statement in one for part in ("-c", statement)]
        self.stack.within("db", "psql", "-qtAX", "-U", "exhibition", *arguments, "-c", "CHECKPOINT")
