"""Restores a backup in the prod tier: `python3 -m deploy.restore NAME [FILE of the private key]`; FORCE=1 does not ask.

The backup is loaded into a second database, compared and migrated, and its background tasks are held; then workers and
web stop, a safety backup is taken, and the two databases swap names in one transaction. Whatever fails or interrupts
it, the site is completely in the old state or completely in the new one.
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
from deploy.deployments import MAKE, Deployments, RefusedError
from deploy.tier import WORKERS, Container, DeployError, Tier, replace_database, run

NAME = re.compile(r"\d{8}T\d{6}Z")
DATABASE_PLACE = "/var/lib/postgresql"
MARGIN = 2**26  # bytes
FLUSH = "from django_redis import get_redis_connection; get_redis_connection().flushall()"


class Restore:
    """One restore of a running tier, even if web cannot start."""

    def __init__(self, deploy: Deploy, name: str, key: str) -> None:
        self.deploy, self.tier, self.name, self.key = deploy, deploy.tier, name, key
        self.version = deploy.deployments.version()
        self.log = deploy.log
        # SAFETY=0: for a database so damaged that no safety backup can be taken.
        self.safety = os.environ.get("SAFETY", "1")
        self.web: list[Container] = []
        self.held = ""
        self.stopped_at = 0.0

    def restore(self) -> str:
        self.prepare()
        self.log(f"verifying backup {self.name}")
        facts = self.examine()
        self.confirm(facts)
        self.check_disk_space(facts["needed"])
        try:
            self.load()
            safety = self.replace()
        except BaseException:
            ignore_signals()
            self.undo()
            raise
        ignore_signals()
        self.finish(safety)
        return f"backup {self.name} is restored{self.held}"

    def prepare(self) -> None:
        """Check the preconditions, and remove leftovers of an earlier run; raise RefusedError."""
        if not NAME.fullmatch(self.name):
            raise RefusedError(f"BACKUP={self.name} is not a backup name. {MAKE}-backups lists the backups.")
        if not self.version or not self.tier.has_image(self.version):
            raise RefusedError(f"No version has been deployed here. Start the tier first: {MAKE}-up")
        bundled = self.tier.select(["db", "redis"])
        stopped = [service for service in bundled if not self.tier.running_container(service)]
        if stopped:
            raise RefusedError(f"{' and '.join(stopped)} must run for a restore. Start the tier first: {MAKE}-up")
        self.tier.remove_one_off_containers()
        if self.deploy.serving():
            self.deploy.remove_leftovers()
        self.web = [one for one in self.tier.web() if one.version == self.version and one.in_traffic]

    def examine(self) -> dict[str, Any]:
        try:
            return self.run_step("examine", self.name, stdin=self.key)
        except DeployError as error:
            if "there is no such backup" not in str(error):
                raise
        self.log("it is not on this server; fetching the off-site copy")
        service = self.tier.running_container("backup")
        if not service:
            raise RefusedError(f"backup must run to fetch it. Start the tier first: {MAKE}-up")
        with unwrap_backup_errors():
            run(["docker", "exec", service, "python3", "-m", "backup", "fetch", self.name])
        return self.run_step("examine", self.name, stdin=self.key)

    def confirm(self, facts: dict[str, Any]) -> None:
        print("\n".join(summarize_restore(self.name, facts, self.safety == "1")), flush=True)
        message = (
            "Nothing was changed: there is no terminal to confirm at. Set FORCE=1 to restore without confirmation."
        )
        confirm("Restore it?", message)

    def check_disk_space(self, needed: int) -> None:
        """Raise RefusedError if loading could fill the disk of the current database."""
        command = ["df", "--output=avail", "--block-size=1", DATABASE_PLACE]
        if not (container := self.tier.running_container("db")):
            return  # of a managed server, only its provider knows
        free = int(run(["docker", "exec", container, *command]).split()[-1])
        if needed + MARGIN > free:
            room = f"{size(free)} of disk space are free, up to {size(needed + MARGIN)} are needed"
            raise RefusedError(f"Nothing was changed: {room}.")

    def load(self) -> None:
        """Load, compare and migrate the backup beside the current database, and add its media."""
        self.log("loading the backup into a second database, and comparing it")
        result = self.run_step("load", self.name, stdin=self.key)
        self.log(f"{result['rows']} rows in {result['tables']} tables match the backup; migrating to {self.version}")
        url = self.tier.config["services"]["migrate"]["environment"]["DATABASE_URL"]
        loaded = replace_database(url, result["database"])
        steps = ["sh", "-c", "python manage.py migrate --noinput && python manage.py hold_tasks"]
        said = self.tier.run_one_off("migrate", *steps, version=self.version, DATABASE_URL=loaded)
        held = said.splitlines()[-1]
        if not held.endswith(": 0"):
            self.held = f".\n{held}. To let them run: {MAKE}-exec ARGS='python manage.py release_tasks'"
        self.log("adding missing and damaged media files")
        result = self.run_step("add-media", self.name, stdin=self.key)
        self.log(f"added {result['added']} media files")

    def replace(self) -> str:
        """Swap the databases, and return the name of the safety backup once web serves the restored one."""
        self.log("stopping workers")
        self.stop_workers()
        self.stopped_at = time.monotonic()
        self.log("stopping web: visitors see the maintenance page")
        self.stop_web()
        self.flush_cache()
        self.log("taking a safety backup, and swapping the databases")
        result = self.run_step("swap", self.safety)
        self.log(f"starting web on the restored database; the safety backup is {result['safety'] or 'skipped'}")
        self.start_web()
        self.start_workers()
        return str(result["safety"])

    def stop_workers(self) -> None:
        """Before web: a task may take a while to finish."""
        if workers := [one.id for one in self.tier.application(WORKERS)]:
            run(["docker", "stop", *workers])

    def start_workers(self) -> None:
        workers = self.tier.workers(self.version)
        self.tier.compose("up", "--detach", "--no-build", "--no-deps", "--wait", *workers, version=self.version)

    def stop_web(self) -> None:
        if self.web:
            run(["docker", "stop", *(one.id for one in self.web)])

    def flush_cache(self) -> None:
        """Drop sessions and cached values of the replaced database."""
        if container := self.tier.running_container("redis"):
            run(["docker", "exec", container, "redis-cli", "FLUSHALL"])
        else:
            self.tier.run_one_off("migrate", "python", "manage.py", "shell", "-c", FLUSH, version=self.version)

    def start_web(self) -> None:
        if self.web:
            self.tier.start(self.web)
        else:
            self.tier.compose("up", "--detach", "--no-build", "--no-deps", "--wait", "web", version=self.version)
        self.log(f"web is ready; the maintenance page was up for {time.monotonic() - self.stopped_at:.1f} s")

    def undo(self) -> None:
        """Return to the old state; web is started even if another step fails."""
        self.log("restoring the previous state")
        steps = [self.tier.remove_one_off_containers]
        if self.stopped_at:
            # An interrupted `docker stop` goes on in the engine.
            steps += [self.stop_web, self.undo_swap, self.flush_cache, self.start_web]
        else:
            steps += [self.undo_swap]
        steps.append(self.start_workers)
        for step in steps:
            try:
                step()
            except DeployError as error:
                self.log(f"the previous state is not fully restored; {MAKE}-up starts what is stopped: {error}")

    def undo_swap(self) -> None:
        self.run_step("undo")

    def finish(self, safety: str) -> None:
        try:
            result = self.run_step("finish", self.name, *([safety] if safety else []))
            self.log(f"removed the replaced database, and {result['removed']} media files that only it used")
        except DeployError as error:
            self.log(f"the replaced database could not be removed; the next restore removes it: {error}")

    def run_step(self, *arguments: str, stdin: str = "") -> dict[str, Any]:
        """Run a step of docker/backup/restore.py and return its result."""
        with unwrap_backup_errors():
            output = self.tier.run_one_off("restore", "restore", *arguments, version=self.version, stdin=stdin)
        result: dict[str, Any] = json.loads(output.splitlines()[-1])
        return result


def confirm(question: str, no_terminal: str) -> None:
    """Raise RefusedError unless the person types yes; without a terminal, with the message `no_terminal`."""
    if os.environ.get("FORCE") == "1":
        return
    if not sys.stdin.isatty():
        raise RefusedError(no_terminal)
    print(f"{question} Type yes: ", end="", flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise RefusedError("Nothing was changed.")


@contextmanager
def unwrap_backup_errors() -> Iterator[None]:
    """Raise the error message of the backup program without the command line that ran it."""
    try:
        yield
    except DeployError as error:
        messages = [line.partition(": ")[2] for line in str(error).splitlines() if line.startswith("backup: ")]
        raise DeployError(messages[-1] if messages else str(error)) from error


def summarize_restore(name: str, facts: dict[str, Any], is_safe: bool) -> list[str]:
    """The lines shown before the confirmation."""
    finished = datetime.fromisoformat(facts["finished"])
    age = (datetime.now(UTC) - finished).total_seconds()
    changed = {table: counts for table, counts in facts["rows"].items() if counts[0] != counts[1]}
    same = len(facts["rows"]) - len(changed)
    width = max(map(len, ["table", *changed]))
    return [
        f"Backup {name} ({facts['kind']}): {size(facts['size'])}, {facts['media']} media files.",
        f"It is {duration(age)} old. Changes since {finished:%Y-%m-%d %H:%M:%S} UTC will be lost"
        + (", except in the safety backup." if is_safe else ", and no safety backup is taken (SAFETY=0)."),
        f"  {'table':{width}}  {'backup':>10}  {'now':>10}",
        *(f"  {table:{width}}  {backup:>10}  {now:>10}" for table, (backup, now) in sorted(changed.items())),
        f"  {same} tables have the same number of rows as now",
    ]


def run_and_record(deploy: Deploy, action: str, work: Callable[[], str], former: str, **facts: str) -> int:
    """Run the work, which returns a message, record its outcome, and return the exit code.

    `former`: what still serves if it fails.
    """
    deployments, version = deploy.deployments, deploy.deployments.version()
    try:
        message = work()
    except (DeployError, KeyboardInterrupt) as error:
        ignore_signals()
        reason = str(error) or "interrupted"
        deployments.record(action, version, deploy.seconds, reason.splitlines()[0], **facts)
        deploy.log(f"the {action} failed; {former} still serves: {reason}")
        return 1
    deployments.record(action, version, deploy.seconds, "ok", **facts)
    deploy.log(message)
    return 0


def read_key(file: str) -> str:
    """The private key of encrypted backups, or an empty string."""
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
            return run_and_record(deploy, "restore", restore.restore, "the previous state", backup=name)
    except (RefusedError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
