"""A prod tier whose state is compared: every row, every uploaded file, and who serves it."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.backups.tier import Service
from e2e.deploys import Deployed, form_headers, log_in
from e2e.stack import Stack, ask

CONTENTS = """
import json
from contextlib import closing
from dataclasses import asdict
from backup import database
with closing(database.connect()) as connection:
    print(json.dumps(asdict(database.read_contents(connection))))
"""
# Real images of different bytes: a PNG of one pixel, and text behind its end.
FILES = """
import base64, hashlib, pathlib, sys
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
folder = pathlib.Path("/app/media/photos")
folder.mkdir(exist_ok=True)
for name in [f"{sys.argv[1]}-{number}" for number in range(int(sys.argv[2]))]:
    (folder / f"{name}.png").write_bytes(PNG + hashlib.sha256(name.encode()).digest() * 40)
"""
EXHIBITION = """
INSERT INTO customers_exhibition
  (created_at, updated_at, name, edition, venue, city, country, time_zone, starts_on, ends_on, website, industry)
VALUES
  (now(), now(), 'Hannover Messe', '2026', '', 'Hannover', 'DE', 'Europe/Berlin', '2026-04-20', '2026-04-24', '', '')
"""
# The first ones have photos, and not all of it is ASCII.
CUSTOMERS = """
WITH new AS (
  INSERT INTO customers_customer
    (created_at, updated_at, given_name, family_name, email, phone, phone_e164, job_title, country, stage, source,
     notes, photo)
  SELECT now() - n * interval '1 minute', now(), 'Zoë', '{name}' || n, '{name}' || n || '@example.com', '', '',
    'Käufer', 'DE', 'lead', 'stand', repeat('Größe ' || n, 3),
    CASE WHEN n < {photos} THEN 'photos/{name}-' || n || '.png' ELSE '' END
  FROM generate_series(0, {count} - 1) AS n
  RETURNING id
)
INSERT INTO customers_visit
  (created_at, updated_at, visited_at, stand, grade, interests, note, customer_id, exhibition_id)
SELECT now(), now(), now(), '7.1 C042', 'A', '{{laser,"a, b"}}', E'two\\nlines', id,
  (SELECT min(id) FROM customers_exhibition)
FROM new
"""


@dataclass(frozen=True)
class State:
    """Tables and sequences, and the SHA-256 of every uploaded file."""

    contents: dict[str, Any]
    media: dict[str, str]

    def is_in(self, other: "State") -> bool:
        """The same rows, and every file of theirs."""
        return self.contents == other.contents and self.media.items() <= other.media.items()

    @property
    def customers(self) -> int:
        return int(self.contents["tables"]["public.customers_customer"]["rows"])


class Restorable(Deployed):
    """The stack with customers, visits and photos."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.service = Service(stack)
        self.service.sql(EXHIBITION)

    def add(self, name: str, count: int, photos: int) -> None:
        """So many customers, the first of them with photos."""
        self.stack.within("web", "python", "-c", FILES, name, str(photos))
        self.service.sql(CUSTOMERS.format(name=name, count=count, photos=photos))

    def state(self) -> State:
        contents = json.loads(self.stack.within("backup", "python3", "-c", CONTENTS))
        sums = self.service.shell("cd /media && find . -type f -exec sha256sum {} +")
        return State(contents, {line[68:]: line[:64] for line in sums.splitlines()})

    def back_up(self, **environment: str) -> str:
        """The name of a new backup."""
        (name,) = re.findall(r"Backup (\S+):", self.service.run("take", **environment))
        return str(name)

    def restore(self, name: str, *arguments: str, fails: bool = False) -> str:
        said = self.stack.make("prod-restore", f"BACKUP={name}", "FORCE=1", *arguments, fails=fails)
        print(said)
        return said

    def databases(self) -> list[str]:
        return self.service.sql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").split()

    def serves(self) -> int:
        """The number of customers that the administrator, who is logged in, is told; of many it is an estimate."""
        answer = ask(self.site, "GET", "/admin/customers/customer/", {"Cookie": self.session["cookie"]})
        assert answer.status == 200
        (count,) = set(re.findall(r"([\d,]+) customers?\b", answer.text))
        return int(count.replace(",", ""))

    def log_in(self) -> None:
        self.session = log_in(self.site)

    def create_customer(self, name: str) -> None:
        """By the form: it takes the next numbers of the sequences."""
        form = (
            f"csrfmiddlewaretoken={self.session['token']}&given_name={name}&family_name={name}&stage=lead&source=stand"
        )
        answer = ask(self.site, "POST", "/admin/customers/customer/add/", form_headers(self.session), form)
        assert answer.status == 302


def carried(stack: Stack, *command: str, source: Path | None = None, target: Path | None = None) -> None:
    """A command within the backup service, whose standard input or output is a file."""
    with open(source or "/dev/null", "rb") as given, open(target or "/dev/null", "wb") as taken:
        line = ["docker", "compose", "exec", "-T", "backup", *command]
        subprocess.run(line, cwd=stack.checkout, env=stack.environment, stdin=given, stdout=taken, check=True)


def destroy(stack: Stack) -> None:
    """Every container and every volume."""
    stack.compose("--profile", "tools", "down", "--volumes")
    assert (stack.left("container"), stack.left("volume")) == ([], [])
