"""Brings a backup to the dev tier, with personal data replaced: `python3 -m deploy.dev_restore DIRECTORY [IDENTITY]`.

The backup is loaded beside the database that the dev tier has, and takes its place when nothing in it tells of a person
any more; it is dropped where anything fails.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from deploy.deployments import RefusedError
from deploy.restore import confirm, in_its_words, read_key
from deploy.tier import FailedError, run

COMPOSE = os.environ.get("COMPOSE", "docker compose -f docker-compose.dev.yml").split()
IMAGE = "exhibition-crm-dev-backup"


def main(directory: str = "", identity: str = "") -> None:
    dev = Dev(check(directory), read_key(identity))
    question = f"This replaces the database of the dev tier by {dev.backup.name}."
    confirm(question, f"{question} Nobody can be asked here: FORCE=1 does it.")
    run(["docker", "build", "--quiet", "--tag", IMAGE, "docker/backup"])
    try:
        print("loading it beside the database of the dev tier, and comparing it with its manifest", flush=True)
        loaded = dev.load()
        print("replacing what tells of a person", flush=True)
        dev.replace_personal_data(loaded)
        dev.swap()
    except BaseException:
        dev.step("undo")
        raise
    print("The dev tier has it. Nobody can log in with a former password: make dev-superuser")


def check(directory: str) -> Path:
    if not directory:
        raise RefusedError("Which one? make dev-restore BACKUP=the directory of a backup, copied from the server")
    backup = Path(directory).resolve()
    if not (backup / "manifest.json").is_file():
        raise RefusedError(f"{directory} is not the directory of a backup: it has no manifest.json.")
    return backup


class Dev:
    """The dev tier, which runs."""

    def __init__(self, backup: Path, key: str) -> None:
        self.backup, self.key = backup, key
        self.config: dict[str, Any] = json.loads(run([*COMPOSE, "config", "--format", "json"]))
        if not run([*COMPOSE, "ps", "--quiet", "--status", "running", "db"]):
            raise RefusedError("The dev tier does not run. Start it first: make dev-up")

    def load(self) -> str:
        """Beside the database that serves; the name of the database."""
        self.step("examine", self.backup.name)
        return str(json.loads(self.step("load", self.backup.name))["database"])

    def replace_personal_data(self, database: str) -> None:
        url = self.config["services"]["web"]["environment"]["DATABASE_URL"].rpartition("/")[0]
        steps = "python manage.py migrate --noinput && python manage.py replace_personal_data"
        command = [*COMPOSE, "run", "--rm", "--no-deps", "-T", "--env", "DATABASE_URL", "web", "sh", "-c", steps]
        run(command, {"DATABASE_URL": f"{url}/{database}"})

    def swap(self) -> None:
        """While web is away, for it would come back to the old one."""
        run([*COMPOSE, "stop", "web"])
        try:
            self.step("swap", "0")
            run([*COMPOSE, "exec", "-T", "redis", "redis-cli", "flushall"])
            self.step("finish", self.backup.name)
        finally:
            run([*COMPOSE, "start", "web"])

    def step(self, *arguments: str) -> str:
        """One of those that restore in the prod tier, with as little as there, as whoever may read the backup."""
        bounds = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
        user = f"--user={os.getuid()}:{os.getgid()}"
        places = [
            "--tmpfs=/tmp",
            "--tmpfs=/backups:mode=1777",
            f"--volume={self.backup}:/backups/{self.backup.name}:ro",
        ]
        database = self.config["services"]["db"]["environment"]
        names = {"PGUSER": "POSTGRES_USER", "PGPASSWORD": "POSTGRES_PASSWORD", "PGDATABASE": "POSTGRES_DB"}
        given = ["--env=PGHOST=db", *(f"--env={name}" for name in names)]
        network = f"--network={self.config['networks']['dev_network']['name']}"
        command = ["docker", "run", "--rm", "--interactive", *bounds, user, *places, *given, network, IMAGE, "restore"]
        with in_its_words():
            environment = {name: database[there] for name, there in names.items()}
            return run([*command, *arguments], environment, given=self.key)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RefusedError, FailedError, KeyboardInterrupt) as error:
        sys.exit(str(error) or "interrupted")
