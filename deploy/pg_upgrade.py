"""Upgrades to another major version of PostgreSQL: `python3 -m deploy.pg_upgrade 18 [FILE of the private key]`.

By dump and restore into a new volume, compared table by table. `POSTGRES_MAJOR` in the env file is the only switch:
until it is written, and if anything fails, the old server serves from the old volume, which is kept.
"""

import re
import sys
import time

from deploy.deploy import ENV_FILE, Deploy, catch_signals, ignore_signals
from deploy.deployments import MAKE, Deployments, RefusedError
from deploy.restore import Restore, read_key, run_and_record, unwrap_backup_errors
from deploy.tier import ONE_OFF_LABEL, SERVICES, DeployError, Tier, last_lines, run

VARIABLE, FIRST = "POSTGRES_MAJOR", "17"
READY_SECONDS = 60


class Upgrade:
    """One upgrade of a running tier."""

    def __init__(self, deploy: Deploy, major: str, key: str) -> None:
        self.deploy, self.tier, self.major, self.key = deploy, deploy.tier, major, key
        self.log = deploy.log
        self.version = deploy.deployments.version()
        self.former = deploy.deployments.variable(VARIABLE) or FIRST
        self.image = f"postgres:{major}-trixie"
        self.stopped_at = 0.0

    def volume_of(self, major: str) -> str:
        return f"{self.tier.config['name']}_postgres_{major}"

    @property
    def volume(self) -> str:
        return self.volume_of(self.major)

    @property
    def server(self) -> str:
        return f"{self.tier.config['name']}-postgres-{self.major}"

    def upgrade(self) -> str:
        self.prepare()
        try:
            self.stop_application()
            name = self.back_up()
            backup = Restore(self.deploy, name, self.key)
            backup.check_disk_space(backup.examine()["needed"])
            self.fill(name)
            self.deploy.deployments.set_variable(VARIABLE, self.major)
            self.start(self.major)
        except BaseException:
            ignore_signals()
            self.undo()
            raise
        former = self.volume_of(self.former)
        return f"PostgreSQL {self.major} serves. The old data stays in volume {former}"

    def prepare(self) -> None:
        """Check the preconditions, and remove leftovers of an earlier run; raise RefusedError."""
        if not self.major.isdecimal() or int(self.major) <= int(self.former):
            raise RefusedError(f"MAJOR={self.major} is not above the current version, {self.former}.")
        if not self.tier.select(["db"]):
            raise RefusedError(
                f"PostgreSQL is not part of this tier. Upgrade it at its provider, set POSTGRES_MAJOR={self.major}"
                f" in the env file, and run {MAKE}-up."
            )
        if not self.deploy.serving() or not self.tier.running_container("backup"):
            raise RefusedError(f"web and backup must run for an upgrade. Start the tier first: {MAKE}-up")
        self.deploy.remove_leftovers()
        if run(["docker", "volume", "ls", "--quiet", "--filter", f"name=^{self.volume}$"]):
            self.remove_leftover()
        if not run(["docker", "image", "ls", "--quiet", self.image]):
            self.log(f"fetching {self.image}")
            run(["docker", "pull", "--quiet", self.image])
        self.log(f"building the backup image for PostgreSQL {self.major}")
        self.compose("build", "--quiet", "backup")

    def remove_leftover(self) -> None:
        """Remove the volume of an interrupted upgrade; raise RefusedError if it was ever in use."""
        served = [entry.get("postgres") for entry in self.deploy.deployments.history() if entry["outcome"] == "ok"]
        if self.major in served:
            raise RefusedError(
                f"Volume {self.volume} already exists, from an earlier upgrade. If it is no longer needed: "
                f"docker volume rm {self.volume}"
            )
        self.log("removing leftovers of an interrupted upgrade")
        run(["docker", "volume", "rm", self.volume])

    def stop_application(self) -> None:
        """Stop web and workers, so that nothing is written after the backup."""
        self.log("stopping web and workers: visitors see the maintenance page")
        self.stopped_at = time.monotonic()
        run(["docker", "stop", *(one.id for one in self.deploy.current())])

    def compose(self, *arguments: str) -> str:
        """Run a Compose command with the new major version."""
        return self.tier.compose(*arguments, version=self.version, POSTGRES_MAJOR=self.major)

    def back_up(self) -> str:
        self.log(f"taking a safety backup from PostgreSQL {self.former}")
        with unwrap_backup_errors():
            take = [
                "docker",
                "exec",
                self.tier.running_container("backup"),
                "python3",
                "-m",
                "backup",
                "take",
                "safety",
            ]
            output = run(take)
        (name,) = re.findall(r"^Backup (\d{8}T\d{6}Z):", output, re.M)
        return str(name)

    def fill(self, name: str) -> None:
        self.log(f"starting PostgreSQL {self.major} on volume {self.volume}")
        # The tier's own database name is needed for the one that is loaded.
        options = [
            "--detach",
            "--no-deps",
            "--label",
            ONE_OFF_LABEL,
            "--name",
            self.server,
            "--env",
            "POSTGRES_DB=postgres",
        ]
        self.compose("run", *options, "db")
        self.wait_for_server()
        self.tier.run_one_off("roles", version=self.version, POSTGRES_MAJOR=self.major, PGHOST=self.server)
        self.log(f"loading backup {name} into it, and comparing every table")
        with unwrap_backup_errors():
            self.tier.run_one_off(
                "restore",
                "move",
                name,
                version=self.version,
                stdin=self.key,
                POSTGRES_MAJOR=self.major,
                PGHOST=self.server,
            )
        run(["docker", "stop", self.server])
        self.tier.remove_one_off_containers()

    def wait_for_server(self) -> None:
        # Over TCP: during its first start the server listens on a socket only, and is not ready.
        command = ["docker", "exec", self.server, "pg_isready", "--quiet", "--host=127.0.0.1"]
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                run(command)
            except DeployError as error:
                if time.monotonic() > deadline or "is not running" in str(error):
                    raise DeployError(f"PostgreSQL {self.major} does not start. {last_lines(self.server)}") from error
                time.sleep(0.2)
            else:
                return

    def start(self, major: str) -> None:
        """Start the services that depend on the major version, and wait until they are healthy."""
        self.log(f"starting the tier on PostgreSQL {major}")
        services = self.tier.select(["backup", "barman"])
        wanted = ["up", "--detach", "--no-build", "--wait", *SERVICES, *services]
        self.tier.compose(*wanted, version=self.version, POSTGRES_MAJOR=major)
        self.log(f"web is ready; the maintenance page was up for {time.monotonic() - self.stopped_at:.1f} s")

    def undo(self) -> None:
        """Return to the old server; its volume has not been touched."""
        self.log(f"returning to PostgreSQL {self.former}")
        self.deploy.deployments.set_variable(VARIABLE, self.former)
        try:
            self.tier.remove_one_off_containers()
            self.start(self.former)
            run(["docker", "volume", "rm", "--force", self.volume])
        except DeployError as error:
            self.log(f"undo is incomplete; {MAKE}-up starts the old server, the next upgrade cleans up: {error}")


def main(major: str = "", key_file: str = "") -> int:
    catch_signals()
    deploy = Deploy(Tier(ENV_FILE), Deployments(ENV_FILE))
    try:
        key = read_key(key_file)
        with deploy.deployments.lock(f"upgrade to PostgreSQL {major}"):
            upgrade = Upgrade(deploy, major, key)
            return run_and_record(deploy, "upgrade", upgrade.upgrade, f"PostgreSQL {upgrade.former}", postgres=major)
    except (RefusedError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
