"""Brings a backup of the prod tier to the dev tier, with personal data replaced: `dev_restore.py DIRECTORY [IDENTITY]`.

Standard library only: it runs on a host where nothing is installed. The backup is loaded beside the database that the
dev tier has, and takes its place when nothing in it tells of a person any more; it is dropped where anything fails.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments import RefusedError
from restore import read_key
from tier import FailedError, run

COMPOSE = os.environ.get("COMPOSE", "docker compose -f docker-compose.dev.yml").split()
IMAGE = "exhibition-crm-dev-backup"
LOADED, REPLACED = "{}_restored", "{}_replaced"


def main(directory: str = "", identity: str = "") -> None:
    backup, key = checked(directory), read_key(identity)
    dev = Dev()
    confirm(f"This replaces the database of the dev tier by {backup.name}.")
    print("loading it beside the database of the dev tier, and comparing it with its manifest", flush=True)
    with dev.loaded(backup, key) as url:
        print("replacing what tells of a person", flush=True)
        dev.replace_personal_data(url)
        dev.swap()
    print("The dev tier has it. Nobody can log in with a former password: make dev-superuser")


def checked(directory: str) -> Path:
    if not directory:
        raise RefusedError("Which one? make dev-restore BACKUP=the directory of a backup, copied from the server")
    backup = Path(directory).resolve()
    if not (backup / "manifest.json").is_file():
        raise RefusedError(f"{directory} is not the directory of a backup: it has no manifest.json.")
    return backup


def confirm(question: str) -> None:
    if os.environ.get("FORCE") == "1":
        return
    if not sys.stdin.isatty():
        raise RefusedError(f"{question} Nobody can be asked here: FORCE=1 does it.")
    if input(f"{question} Type yes: ") != "yes":
        raise RefusedError("Nothing was changed.")


class Dev:
    """The dev tier, which runs."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = json.loads(run([*COMPOSE, "config", "--format", "json"]))
        self.database = self.config["services"]["db"]["environment"]
        self.name = self.database["POSTGRES_DB"]
        self.loaded_as, self.replaced = LOADED.format(self.name), REPLACED.format(self.name)
        if not run([*COMPOSE, "ps", "--quiet", "--status", "running", "db"]):
            raise RefusedError("The dev tier does not run. Start it first: make dev-up")

    @contextmanager
    def loaded(self, backup: Path, key: str) -> Iterator[str]:
        """The address of the database that it was loaded into, which nobody sees unless it has been swapped."""
        self.drop(self.loaded_as)
        try:
            run(["docker", "build", "--quiet", "--tag", IMAGE, "docker/backup"])
            run(self.in_network(backup, ["move", backup.name, self.loaded_as]), self.credentials, given=key)
            yield self.config["services"]["web"]["environment"]["DATABASE_URL"].replace(self.name, self.loaded_as)
        finally:
            self.drop(self.loaded_as)

    @property
    def credentials(self) -> dict[str, str]:
        return {"PGUSER": self.database["POSTGRES_USER"], "PGPASSWORD": self.database["POSTGRES_PASSWORD"]}

    def in_network(self, backup: Path, command: list[str]) -> list[str]:
        """As whoever may read the backup, with as little as the service of the prod tier."""
        bounds = [
            "--read-only",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges:true",
            "--user",
            f"{os.getuid()}:{os.getgid()}",
        ]
        places = ["--tmpfs=/tmp", "--tmpfs=/backups:mode=1777", f"--volume={backup}:/backups/{backup.name}:ro"]
        given = ["--env=PGHOST=db", f"--env=PGDATABASE={self.name}", *(f"--env={name}" for name in self.credentials)]
        network = f"--network={self.config['networks']['dev_network']['name']}"
        return ["docker", "run", "--rm", "--interactive", *bounds, *places, *given, network, IMAGE, *command]

    def replace_personal_data(self, url: str) -> None:
        steps = "python manage.py migrate --noinput && python manage.py replace_personal_data"
        run(
            [*COMPOSE, "run", "--rm", "--no-deps", "-T", "--env", "DATABASE_URL", "web", "sh", "-c", steps],
            {"DATABASE_URL": url},
        )

    def swap(self) -> None:
        """In one transaction; web is away, for it would come back to the old one."""
        run([*COMPOSE, "stop", "web"])
        try:
            self.sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"  # noqa: S608 - names of ours
                f" WHERE datname IN ('{self.name}', '{self.loaded_as}');"
                f'BEGIN; ALTER DATABASE "{self.name}" RENAME TO "{self.replaced}";'
                f'ALTER DATABASE "{self.loaded_as}" RENAME TO "{self.name}"; COMMIT'
            )
            run([*COMPOSE, "exec", "-T", "redis", "redis-cli", "flushall"])
            self.drop(self.replaced)
        finally:
            run([*COMPOSE, "start", "web"])

    def drop(self, name: str) -> None:
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def sql(self, statements: str) -> None:
        psql = ["psql", "--quiet", "--set=ON_ERROR_STOP=1", "--username", self.database["POSTGRES_USER"], "postgres"]
        run([*COMPOSE, "exec", "-T", "db", *psql], given=statements)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RefusedError, FailedError, KeyboardInterrupt) as error:
        sys.exit(str(error) or "interrupted")
