"""Restores a backup in the prod tier: `python3 -m deploy.restore NAME [FILE of the private key]`; FORCE=1 does not ask.

What serves is not touched before the backup has been loaded beside it, compared and migrated; then web stops, a safety
backup is taken, and two databases change their names at once. Whatever fails, and wherever it is interrupted, the site
is wholly in one of the two states.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backup.text import duration, size

from deploy.deploy import ENV_FILE, Deploy, catch_signals, ignore_signals
from deploy.deployments import Deployments, RefusedError
from deploy.tier import Container, FailedError, Tier, run

NAME = re.compile(r"\d{8}T\d{6}Z")
DATABASE_PLACE = "/var/lib/postgresql"
MARGIN = 2**26  # bytes


class Restore:
    """One restore of a tier that runs, or of one whose web cannot."""

    def __init__(self, deploy: Deploy, name: str, key: str) -> None:
        self.deploy, self.tier, self.name, self.key = deploy, deploy.tier, name, key
        self.version = deploy.deployments.version()
        self.say = deploy.say
        # Without a safety backup where the database is so damaged that none can be taken.
        self.safety = os.environ.get("SAFETY", "1")
        self.web: list[Container] = []
        self.stopped_at = 0.0

    def restore(self) -> str:
        self.prepare()
        self.say(f"verifying backup {self.name}")
        facts = self.examine()
        self.confirm(facts)
        self.check_room(facts["needed"])
        try:
            self.load()
            safety = self.replace()
        except BaseException:
            ignore_signals()
            self.undo()
            raise
        ignore_signals()
        self.finish(safety)
        return f"backup {self.name} is restored"

    def prepare(self) -> None:
        """Refuse where something is lacking, and clear away what an earlier run left."""
        if not NAME.fullmatch(self.name):
            raise RefusedError(f"BACKUP={self.name} is not the name of a backup. make prod-backups lists them.")
        if not self.version or not self.tier.has_image(self.version):
            raise RefusedError("No version has been deployed here. Start the tier first: make prod-up")
        away = [service for service in ("db", "redis") if not self.tier.running(service)]
        if away:
            raise RefusedError(f"{' and '.join(away)} must run for a restore. Start the tier first: make prod-up")
        self.tier.remove_once()
        if self.deploy.serving():
            self.deploy.settle()
        self.web = [one for one in self.tier.web() if one.version == self.version and one.in_traffic]

    def examine(self) -> dict[str, Any]:
        try:
            return self.step("examine", self.name, given=self.key)
        except FailedError as error:
            if "there is no such backup" not in str(error):
                raise
        self.say("it is not on this server; fetching it from elsewhere")
        service = self.tier.running("backup")
        if not service:
            raise RefusedError("backup must run to fetch it. Start the tier first: make prod-up")
        with in_its_words():
            run(["docker", "exec", service, "python3", "-m", "backup", "fetch", self.name])
        return self.step("examine", self.name, given=self.key)

    def confirm(self, facts: dict[str, Any]) -> None:
        print("\n".join(prospect(self.name, facts, self.safety == "1")), flush=True)
        refusal = "Nothing was changed: there is no terminal to ask at. FORCE=1 restores without asking."
        confirm("Restore it?", refusal)

    def check_room(self, needed: int) -> None:
        """Loading must not fill the disk under the database that serves."""
        question = ["df", "--output=avail", "--block-size=1", DATABASE_PLACE]
        free = int(run(["docker", "exec", self.tier.running("db"), *question]).split()[-1])
        if needed + MARGIN > free:
            room = f"{size(free)} of the disk are free, {size(needed + MARGIN)} may be needed"
            raise RefusedError(f"Nothing was changed: {room}.")

    def load(self) -> None:
        """Beside what serves, up to the state in which it can take its place."""
        self.say("loading its database beside the one that serves, and comparing it")
        found = self.step("load", self.name, given=self.key)
        self.say(f"{found['rows']} rows in {found['tables']} tables are as they were; migrating to {self.version}")
        url = self.tier.config["services"]["migrate"]["environment"]["DATABASE_URL"]
        loaded = f"{url.rpartition('/')[0]}/{found['database']}"
        migrate = ["python", "manage.py", "migrate", "--noinput"]
        self.tier.once("migrate", *migrate, version=self.version, DATABASE_URL=loaded)
        self.say("adding media files that are missing or damaged")
        found = self.step("add-media", self.name, given=self.key)
        self.say(f"added {found['added']} media files")

    def replace(self) -> str:
        """Return the name of the safety backup, once web serves what was restored."""
        self.stopped_at = time.monotonic()
        self.say("stopping web: visitors see the maintenance page")
        self.stop_web()
        self.forget_sessions()
        self.say("taking a safety backup, and swapping the databases")
        found = self.step("swap", self.safety)
        self.say(f"starting web on the restored database; the safety backup is {found['safety'] or 'left out'}")
        self.start_web()
        return str(found["safety"])

    def stop_web(self) -> None:
        if self.web:
            run(["docker", "stop", *(one.id for one in self.web)])

    def forget_sessions(self) -> None:
        """And counts, of the state that goes. It is a cache: both states can do without."""
        run(["docker", "exec", self.tier.running("redis"), "redis-cli", "FLUSHALL"])

    def start_web(self) -> None:
        if self.web:
            self.tier.start(self.web)
        else:
            self.tier.compose("up", "--detach", "--no-build", "--no-deps", "--wait", "web", version=self.version)
        self.say(f"web is ready; the maintenance page was up for {time.monotonic() - self.stopped_at:.1f} s")

    def undo(self) -> None:
        """Return to the state before; web is started whatever becomes of that."""
        self.say("returning to the state before")
        steps = [self.tier.remove_once]
        if self.stopped_at:
            # The engine goes on stopping web where the command alone was interrupted.
            steps += [self.stop_web, self.undo_swap, self.forget_sessions, self.start_web]
        else:
            steps += [self.undo_swap]
        for step in steps:
            try:
                step()
            except FailedError as error:
                self.say(f"the return is not complete; make prod-up starts what is stopped: {error}")

    def undo_swap(self) -> None:
        self.step("undo")

    def finish(self, safety: str) -> None:
        try:
            found = self.step("finish", self.name, *([safety] if safety else []))
            self.say(f"removed the database that was replaced, and {found['removed']} media files of its own")
        except FailedError as error:
            self.say(f"what was replaced could not be removed; the next restore does it: {error}")

    def step(self, *arguments: str, given: str = "") -> dict[str, Any]:
        """What it found."""
        with in_its_words():
            said = self.tier.once("restore", "restore", *arguments, version=self.version, given=given)
        found: dict[str, Any] = json.loads(said.splitlines()[-1])
        return found


def confirm(question: str, refusal: str) -> None:
    """Raise RefusedError where the person does not agree, and with `refusal` where nobody can be asked."""
    if os.environ.get("FORCE") == "1":
        return
    if not sys.stdin.isatty():
        raise RefusedError(refusal)
    print(f"{question} Type yes: ", end="", flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise RefusedError("Nothing was changed.")


@contextmanager
def in_its_words() -> Iterator[None]:
    """A failure as the backup's program tells it, without the command that it is called by."""
    try:
        yield
    except FailedError as error:
        said = [line.partition(": ")[2] for line in str(error).splitlines() if line.startswith("backup: ")]
        raise FailedError(said[-1] if said else str(error)) from error


def prospect(name: str, facts: dict[str, Any], is_safe: bool) -> list[str]:
    """What a person should know before it begins."""
    finished = datetime.fromisoformat(facts["finished"])
    age = (datetime.now(UTC) - finished).total_seconds()
    changed = {table: counts for table, counts in facts["rows"].items() if counts[0] != counts[1]}
    same = len(facts["rows"]) - len(changed)
    width = max(map(len, ["table", *changed]))
    return [
        f"Backup {name} ({facts['kind']}): {size(facts['size'])}, {facts['media']} media files.",
        f"It is {duration(age)} old. What was written since {finished:%Y-%m-%d %H:%M:%S} UTC will be lost"
        + (", but for a safety backup." if is_safe else ", and no safety backup is taken (SAFETY=0)."),
        f"  {'table':{width}}  {'backup':>10}  {'now':>10}",
        *(f"  {table:{width}}  {backup:>10}  {now:>10}" for table, (backup, now) in sorted(changed.items())),
        f"  {same} tables have as many rows as now",
    ]


def recorded(deploy: Deploy, action: str, work: Callable[[], str], former: str, **facts: str) -> int:
    """Do the work, which returns what to say of it, and write down how it ended; returns the exit code.

    `former`: what serves where it has failed.
    """
    deployments, version = deploy.deployments, deploy.deployments.version()
    try:
        said = work()
    except (FailedError, KeyboardInterrupt) as error:
        ignore_signals()
        reason = str(error) or "interrupted"
        deployments.note(action, version, deploy.seconds, reason.splitlines()[0], **facts)
        deploy.say(f"the {action} has failed, and {former} serves: {reason}")
        return 1
    deployments.note(action, version, deploy.seconds, "ok", **facts)
    deploy.say(said)
    return 0


def read_key(file: str) -> str:
    """The private key of encrypted backups; blank where none is named."""
    try:
        return Path(file).read_text(encoding="utf-8") if file else ""
    except OSError as error:
        raise RefusedError(f"IDENTITY={file} cannot be read: {error.strerror}") from error


def main(name: str = "", key_file: str = "") -> int:
    catch_signals()
    deploy = Deploy(Tier(ENV_FILE), Deployments(ENV_FILE))
    try:
        key = read_key(key_file)
        with deploy.deployments.lock(f"restore {name}".strip()):
            restore = Restore(deploy, name, key)
            return recorded(deploy, "restore", restore.restore, "the state before it", backup=name)
    except (RefusedError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
