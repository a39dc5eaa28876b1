"""Moves the data to another major version of PostgreSQL: `python3 -m deploy.pg_upgrade 18 [FILE of the private key]`.

By dump and restore into a volume of its own, compared table by table. `POSTGRES_MAJOR` in the env file is the one
switch: before it is written, and where anything fails, the old server serves from the old volume; afterwards that
volume is kept.
"""

import re
import sys
import time

from deploy.deploy import ENV_FILE, Deploy, catch_signals, ignore_signals
from deploy.deployments import Deployments, RefusedError
from deploy.restore import Restore, in_its_words, read_key, recorded
from deploy.tier import ONCE, FailedError, Tier, last_lines, run

VARIABLE, FIRST = "POSTGRES_MAJOR", "17"
READY_SECONDS = 60


class Upgrade:
    """Of a tier that runs."""

    def __init__(self, deploy: Deploy, major: str, key: str) -> None:
        self.deploy, self.tier, self.major, self.key = deploy, deploy.tier, major, key
        self.say = deploy.say
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
            self.stop_web()
            name = self.back_up()
            backup = Restore(self.deploy, name, self.key)
            backup.check_room(backup.examine()["needed"])
            self.fill(name)
            self.deploy.deployments.set_variable(VARIABLE, self.major)
            self.start(self.major)
        except BaseException:
            ignore_signals()
            self.undo()
            raise
        kept = self.volume_of(self.former)
        return f"PostgreSQL {self.major} serves. The data of before are kept in volume {kept}"

    def prepare(self) -> None:
        """Refuse where something is lacking, and clear away what an earlier run left."""
        if not self.major.isdecimal() or int(self.major) <= int(self.former):
            raise RefusedError(f"MAJOR={self.major} is not a version above {self.former}, which serves.")
        if not self.deploy.serving() or not self.tier.running("backup"):
            raise RefusedError("web and backup must run for an upgrade. Start the tier first: make prod-up")
        self.deploy.settle()
        if run(["docker", "volume", "ls", "--quiet", "--filter", f"name=^{self.volume}$"]):
            self.remove_leftover()
        if not run(["docker", "image", "ls", "--quiet", self.image]):
            self.say(f"fetching {self.image}")
            run(["docker", "pull", "--quiet", self.image])
        self.say(f"building the programs of PostgreSQL {self.major}")
        self.compose("build", "--quiet", "backup")

    def remove_leftover(self) -> None:
        """A volume that has served is somebody's data, whatever came after it."""
        served = [entry.get("postgres") for entry in self.deploy.deployments.history() if entry["outcome"] == "ok"]
        if self.major in served:
            raise RefusedError(
                f"Volume {self.volume} is there already, from an earlier upgrade. If nobody needs it: "
                f"docker volume rm {self.volume}"
            )
        self.say("removing what an interrupted upgrade left")
        run(["docker", "volume", "rm", self.volume])

    def stop_web(self) -> None:
        """So that nothing is written that the new server would not have."""
        self.say("stopping web: visitors see the maintenance page")
        self.stopped_at = time.monotonic()
        run(["docker", "stop", *(one.id for one in self.deploy.serving())])

    def compose(self, *arguments: str) -> str:
        """As the tier will be."""
        return self.tier.compose(*arguments, version=self.version, POSTGRES_MAJOR=self.major)

    def back_up(self) -> str:
        self.say(f"taking a safety backup from PostgreSQL {self.former}")
        with in_its_words():
            take = ["docker", "exec", self.tier.running("backup"), "python3", "-m", "backup", "take", "safety"]
            said = run(take)
        (name,) = re.findall(r"^Backup (\d{8}T\d{6}Z):", said, re.M)
        return str(name)

    def fill(self, name: str) -> None:
        self.say(f"starting PostgreSQL {self.major} on {self.volume}, beside the old one")
        # A database of the tier's name would be in the way of the one that is loaded.
        options = ["--detach", "--no-deps", "--label", ONCE, "--name", self.server, "--env", "POSTGRES_DB=postgres"]
        self.compose("run", *options, "db")
        self.wait_for_server()
        self.say(f"loading backup {name} into it, and comparing every table")
        with in_its_words():
            self.tier.once(
                "restore",
                "move",
                name,
                version=self.version,
                given=self.key,
                POSTGRES_MAJOR=self.major,
                PGHOST=self.server,
            )
        run(["docker", "stop", self.server])
        self.tier.remove_once()

    def wait_for_server(self) -> None:
        # Over TCP: during its first start the server listens on a socket only, and is not ready.
        question = ["docker", "exec", self.server, "pg_isready", "--quiet", "--host=127.0.0.1"]
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                run(question)
            except FailedError as error:
                if time.monotonic() > deadline or "is not running" in str(error):
                    raise FailedError(f"PostgreSQL {self.major} does not start. {last_lines(self.server)}") from error
                time.sleep(0.2)
            else:
                return

    def start(self, major: str) -> None:
        """What the env file says now, and wait until it is ready."""
        self.say(f"starting the tier on PostgreSQL {major}")
        services = [service for service in ("web", "backup", "barman") if service in self.tier.config["services"]]
        wanted = ["up", "--detach", "--no-build", "--wait", *services]
        self.tier.compose(*wanted, version=self.version, POSTGRES_MAJOR=major)
        self.say(f"web is ready; the maintenance page was up for {time.monotonic() - self.stopped_at:.1f} s")

    def undo(self) -> None:
        """Return to the old server; its volume has not been touched."""
        self.say(f"returning to PostgreSQL {self.former}")
        self.deploy.deployments.set_variable(VARIABLE, self.former)
        try:
            self.tier.remove_once()
            self.start(self.former)
            run(["docker", "volume", "rm", "--force", self.volume])
        except FailedError as error:
            self.say(
                f"not all could be undone; make prod-up starts the old one, and the next upgrade clears up: {error}"
            )


def main(major: str = "", key_file: str = "") -> int:
    catch_signals()
    deploy = Deploy(Tier(ENV_FILE), Deployments(ENV_FILE))
    try:
        key = read_key(key_file)
        with deploy.deployments.lock(f"upgrade to PostgreSQL {major}"):
            upgrade = Upgrade(deploy, major, key)
            return recorded(deploy, "upgrade", upgrade.upgrade, f"PostgreSQL {upgrade.former}", postgres=major)
    except (RefusedError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
