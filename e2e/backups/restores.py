"""A prod tier whose state can be compared: all rows, uploaded files, and the web container."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.backups.tier import Service
from e2e.deploys import Deployed, form_headers, log_in
from e2e.site import ask
from e2e.stack import Stack

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

# Without periodic tasks, whose rows would come at any time.
NO_CLOCK = """
services:
  celery-beat:
    command: [sh, -c, "mkdir -p /tmp/heartbeats; while touch /tmp/heartbeats/beat; do sleep 1; done"]
"""


@dataclass(frozen=True)
class State:
    """Tables, sequences, and the SHA-256 of all uploaded files."""

    contents: dict[str, Any]
    media: dict[str, str]

    def is_in(self, other: "State") -> bool:
        """Return whether rows and their files are the same."""
        return self.contents == other.contents and self.media.items() <= other.media.items()

    @property
    def customers(self) -> int:
        return int(self.contents["tables"]["public.customers_customer"]["rows"])


class Restorable(Deployed):
    """A stack with customers, visits and photos."""

    def __init__(self, stack: Stack) -> None:
        stack.overlay("no_clock.yml", NO_CLOCK)
        super().__init__(stack)
        self.service = Service(stack)
        self.service.sql(EXHIBITION)

    def add(self, name: str, count: int, photos: int) -> None:
        """Create customers, the first of them with photos."""
        self.stack.within("web", "python", "-c", FILES, name, str(photos))
        self.service.sql(CUSTOMERS.format(name=name, count=count, photos=photos))

    def state(self) -> State:
        contents = json.loads(self.stack.within("backup", "python3", "-c", CONTENTS))
        sums = self.service.shell("cd /media && find . -type f -exec sha256sum {} +")
        return State(contents, {line[68:]: line[:64] for line in sums.splitlines()})

    def back_up(self, **environment: str) -> str:
        """Take a backup and return its name."""
        (name,) = re.findall(r"Backup (\S+):", self.service.run("take", **environment))
        return str(name)

    def restore(self, name: str, *arguments: str, fails: bool = False) -> str:
        said = self.stack.make("prod-restore", f"BACKUP={name}", "FORCE=1", *arguments, fails=fails)
        print(said)
        return said

    def databases(self) -> list[str]:
        return self.service.sql("SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1").split()

    def serves(self) -> int:
        """Return the number of customers that the list shows; an estimate if there are many."""
        answer = ask(self.site, "GET", "/admin/customers/customer/", {"Cookie": self.session["cookie"]})
        assert answer.status == 200
        (count,) = set(re.findall(r"([\d,]+) customers?\b", answer.text))
        return int(count.replace(",", ""))

    def log_in(self) -> None:
        self.session = log_in(self.site)

    def create_customer(self, name: str) -> None:
        """Create a customer through the form, with the next values of the sequences."""
        form = (
            f"csrfmiddlewaretoken={self.session['token']}&given_name={name}&family_name={name}&stage=lead&source=stand"
        )
        answer = ask(self.site, "POST", "/admin/customers/customer/add/", form_headers(self.session), form)
        assert answer.status == 302


def copy_between(stack: Stack, *command: str, source: Path | None = None, target: Path | None = None) -> None:
    """Run a command in the backup service with a file as standard input or output."""
    with open(source or "/dev/null", "rb") as given, open(target or "/dev/null", "wb") as taken:
        line = ["docker", "compose", "exec", "-T", "backup", *command]
        subprocess.run(line, cwd=stack.checkout, env=stack.environment, stdin=given, stdout=taken, check=True)


def destroy(stack: Stack) -> None:
    """Remove all containers and volumes."""
    stack.compose("--profile", "tools", "down", "--volumes")
    assert (stack.list_resources("container"), stack.list_resources("volume")) == ([], [])
