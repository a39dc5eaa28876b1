"""Loads a backup into the dev or staging tier, with personal data replaced.

`COMPOSE="docker compose -f FILE" python3 -m deploy.refresh [DIRECTORY [IDENTITY]]`: without a directory, the newest
backup of the prod tier that runs on this server. It is loaded into a second database, which replaces the tier's once
its personal data is replaced; if anything fails, it is dropped.
"""

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deploy.deployments import RefusedError
from deploy.restore import confirm, read_key, unwrap_backup_errors
from deploy.tier import SERVICES, DeployError, replace_database, run

COMPOSE = os.environ["COMPOSE"].split()
PROD = os.environ.get("PROD", "").split()
IMAGE = "exhibition-crm-refresh"
# One-off, with a second database: replace_personal_data requires DEBUG, so that nobody runs it on the real one.
DEBUG = {"DEBUG": "true", "ALLOWED_HOSTS": "localhost"}


def main(directory: str = "", identity: str = "") -> None:
    with TemporaryDirectory() as place:
        load(check(directory or bring_newest(Path(place))), read_key(identity))


def bring_newest(place: Path) -> str:
    """Copy the newest backup from the prod tier of this server, and return its directory."""
    container = run([*PROD, "ps", "--quiet", "backup"]).strip() if PROD else ""
    names = run(["docker", "exec", container, "ls", "/backups"]).split() if container else []
    if not names:
        raise RefusedError("BACKUP is not set: the directory of a backup, copied from the server.")
    run(["docker", "cp", "--quiet", f"{container}:/backups/{names[-1]}", str(place)])
    return str(place / names[-1])


def load(backup: Path, key: str) -> None:
    tier = Tier(backup, key)
    question = f"This replaces the database of {tier.config['name']} with backup {backup.name}."
    confirm(question, f"{question} There is no terminal to confirm at: set FORCE=1.")
    run(["docker", "build", "--quiet", "--tag", IMAGE, "docker/backup"])
    try:
        print("loading the backup into a second database, and comparing it with its manifest", flush=True)
        loaded = tier.load()
        print("replacing personal data", flush=True)
        tier.replace_personal_data(loaded)
        tier.swap()
    except BaseException:
        tier.run_step("undo")
        raise
    print("The backup is loaded. Former passwords do not work; add an administrator.")


def check(directory: str) -> Path:
    backup = Path(directory).resolve()
    if not (backup / "manifest.json").is_file():
        raise RefusedError(f"{directory} is not a backup directory: it has no manifest.json.")
    return backup


class Tier:
    """The running tier."""

    def __init__(self, backup: Path, key: str) -> None:
        self.backup, self.key = backup, key
        self.config: dict[str, Any] = json.loads(run([*COMPOSE, "config", "--format", "json"]))
        if not run([*COMPOSE, "ps", "--quiet", "--status", "running", "db"]):
            raise RefusedError(f"{self.config['name']} is not running. Start it first: make dev-up or make staging-up")
        self.services = [name for name in SERVICES if name in self.config["services"]]

    def load(self) -> str:
        """Load the backup into a second database, and return its name."""
        self.run_step("examine", self.backup.name)
        return str(json.loads(self.run_step("load", self.backup.name))["database"])

    def replace_personal_data(self, database: str) -> None:
        url = self.config["services"]["web"]["environment"]["DATABASE_URL"]
        steps = ("migrate --noinput", "hold_tasks", "replace_personal_data")
        script = " && ".join(f"python manage.py {step}" for step in steps)
        variables = {**DEBUG, "DATABASE_URL": replace_database(url, database)}
        options = ["--rm", "--no-deps", "-T", *(part for name in variables for part in ("--env", name))]
        run([*COMPOSE, "run", *options, "web", "sh", "-c", script], variables)

    def swap(self) -> None:
        """Swap the databases while the application is stopped: it would reconnect to the old one."""
        run([*COMPOSE, "stop", *self.services])
        try:
            self.run_step("swap", "0")
            run([*COMPOSE, "exec", "-T", "redis", "redis-cli", "flushall"])
            self.run_step("finish", self.backup.name)
        finally:
            run([*COMPOSE, "start", *self.services])

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
        variables = ["--env=PGHOST=db", *(f"--env={name}" for name in (*names, "APP_PASSWORD"))]
        networks = self.config["networks"]
        network = f"--network={networks['backend' if 'backend' in networks else 'dev_network']['name']}"
        command = [
            "docker",
            "run",
            "--rm",
            *(["--interactive"] if self.key else []),
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
            environment["APP_PASSWORD"] = self.config["services"]["roles"]["environment"]["APP_PASSWORD"]
            return run([*command, *arguments], environment, stdin=self.key)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RefusedError, DeployError, KeyboardInterrupt) as error:
        sys.exit(str(error) or "interrupted")
