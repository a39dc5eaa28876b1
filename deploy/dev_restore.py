"""Loads a backup into the dev tier, with personal data replaced: `python3 -m deploy.dev_restore DIRECTORY [IDENTITY]`.

The backup is loaded into a second database, which replaces the dev tier's once its personal data is replaced; if
anything fails, it is dropped.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from deploy.deployments import RefusedError
from deploy.restore import confirm, read_key, unwrap_backup_errors
from deploy.tier import DeployError, run

COMPOSE = os.environ.get("COMPOSE", "docker compose -f docker-compose.dev.yml").split()
IMAGE = "exhibition-crm-dev-backup"


def main(directory: str = "", identity: str = "") -> None:
    dev = Dev(check(directory), read_key(identity))
    question = f"This replaces the database of the dev tier with backup {dev.backup.name}."
    confirm(question, f"{question} There is no terminal to confirm at: set FORCE=1.")
    run(["docker", "build", "--quiet", "--tag", IMAGE, "docker/backup"])
    try:
        print("loading the backup into a second database, and comparing it with its manifest", flush=True)
        loaded = dev.load()
        print("replacing personal data", flush=True)
        dev.replace_personal_data(loaded)
        dev.swap()
    except BaseException:
        dev.run_step("undo")
        raise
    print("The backup is loaded. Former passwords do not work: make dev-superuser")


def check(directory: str) -> Path:
    if not directory:
        raise RefusedError(
            "BACKUP is not set. Usage: make dev-restore BACKUP=directory of a backup, copied from the server"
        )
    backup = Path(directory).resolve()
    if not (backup / "manifest.json").is_file():
        raise RefusedError(f"{directory} is not a backup directory: it has no manifest.json.")
    return backup


class Dev:
    """The running dev tier."""

    def __init__(self, backup: Path, key: str) -> None:
        self.backup, self.key = backup, key
        self.config: dict[str, Any] = json.loads(run([*COMPOSE, "config", "--format", "json"]))
        if not run([*COMPOSE, "ps", "--quiet", "--status", "running", "db"]):
            raise RefusedError("The dev tier is not running. Start it first: make dev-up")

    def load(self) -> str:
        """Load the backup into a second database, and return its name."""
        self.run_step("examine", self.backup.name)
        return str(json.loads(self.run_step("load", self.backup.name))["database"])

    def replace_personal_data(self, database: str) -> None:
        url = self.config["services"]["web"]["environment"]["DATABASE_URL"].rpartition("/")[0]
        steps = "python manage.py migrate --noinput && python manage.py replace_personal_data"
        command = [*COMPOSE, "run", "--rm", "--no-deps", "-T", "--env", "DATABASE_URL", "web", "sh", "-c", steps]
        run(command, {"DATABASE_URL": f"{url}/{database}"})

    def swap(self) -> None:
        """Swap the databases while web is stopped: it would reconnect to the old one."""
        run([*COMPOSE, "stop", "web"])
        try:
            self.run_step("swap", "0")
            run([*COMPOSE, "exec", "-T", "redis", "redis-cli", "flushall"])
            self.run_step("finish", self.backup.name)
        finally:
            run([*COMPOSE, "start", "web"])

    def run_step(self, *arguments: str) -> str:
        """Run a step of docker/backup/restore.py, hardened as in the prod tier, as the current user."""
        hardening = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true"]
        user = f"--user={os.getuid()}:{os.getgid()}"
        places = [
            "--tmpfs=/tmp",
            "--tmpfs=/backups:mode=1777",
            f"--volume={self.backup}:/backups/{self.backup.name}:ro",
        ]
        database = self.config["services"]["db"]["environment"]
        names = {"PGUSER": "POSTGRES_USER", "PGPASSWORD": "POSTGRES_PASSWORD", "PGDATABASE": "POSTGRES_DB"}
        variables = ["--env=PGHOST=db", *(f"--env={name}" for name in names)]
        network = f"--network={self.config['networks']['dev_network']['name']}"
        command = [
            "docker",
            "run",
            "--rm",
            "--interactive",
            *hardening,
            user,
            *places,
            *variables,
            network,
            IMAGE,
            "restore",
        ]
        with unwrap_backup_errors():
            environment = {name: database[there] for name, there in names.items()}
            return run([*command, *arguments], environment, stdin=self.key)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RefusedError, DeployError, KeyboardInterrupt) as error:
        sys.exit(str(error) or "interrupted")
