"""Replaces web and workers without losing a request: `deploy [VERSION]`, `rollback [VERSION]`, `scale WEB WORKER`.

Whatever fails or interrupts it, exactly one version serves: the old one until `VERSION` in the env file names the new
one. The next run removes leftovers.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from deploy.deployments import MAKE, Deployments, RefusedError
from deploy.release import fetch
from deploy.start import check_subnets
from deploy.tier import SERVICES, WORKERS, Container, DeployError, Tier, run

ENV_FILE = Path(os.environ.get("ENV_FILE", ".envs/.env.production"))
HISTORY_LINES = 5
# Each web takes up to 768 MB and 16 of PostgreSQL's 200 connections, a worker 384 MB and 8; twice that during a switch.
MAX_REPLICAS = {"web": 3, "celery-worker": 4}
VARIABLES = {"web": "WEB_REPLICAS", "celery-worker": "WORKER_REPLICAS"}
# What `make prod-up` replaces, as far as the tier has it: docker-compose.caddy.yml has other services in front of web.
KEPT = ("nginx", "certbot", "caddy", "backup")
# A lost connection and `kill` end a deploy as Ctrl-C does.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Deploy:
    """One deploy, rollback or scaling of a running tier."""

    def __init__(self, tier: Tier, deployments: Deployments) -> None:
        self.tier, self.deployments = tier, deployments
        self.started = time.monotonic()
        self.target = deployments.version()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def log(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal may be closed; the work continues
            print(f"[{self.seconds:5.1f} s] {text}", flush=True)

    def remove_leftovers(self) -> None:
        """Remove the containers of an interrupted run, so that only the recorded version serves."""
        serving = self.serving()
        if not serving:
            version = self.deployments.version() or "none"
            raise RefusedError(f"No container of version {version} serves. Start the tier first: {MAKE}-up")
        self.tier.remove_one_off_containers()
        current = self.current()
        leftovers = [one for one in self.tier.application() if one not in current]
        if leftovers:
            self.log(f"removing leftovers of an earlier run: {', '.join(one.name for one in leftovers)}")
        self.take_out(leftovers, current)

    def serving(self) -> list[Container]:
        version = self.deployments.version()
        return [one for one in self.tier.web() if one.version == version and one.in_traffic and one.is_running]

    def current(self) -> list[Container]:
        """The containers to keep: of each service the newest that run the recorded version."""
        version, current = self.deployments.version(), self.serving()[-self.tier.counts["web"] :]
        for service in WORKERS:
            running = [one for one in self.tier.application([service]) if one.version == version and one.is_running]
            current += running[-self.tier.counts[service] :]
        return current

    def take_out(self, containers: list[Container], others: list[Container]) -> None:
        """Route requests to the others, then remove the containers."""
        if any(one.in_traffic for one in containers):
            self.tier.route_to([one.name for one in others if one.in_traffic][-1])
        self.tier.remove(containers)
        self.tier.route_to("web")

    def prepare(self, version: str) -> str:
        """Return the version for `make prod-up`: the one deployed last, or a new build of the checkout."""
        check_subnets(self.tier.config["networks"])
        self.tier.remove_one_off_containers()
        self.tier.publish_counts(self.tier.counts)
        if self.serving():
            self.remove_leftovers()
        wanted = version or self.deployments.version()
        if not wanted or not self.tier.has_image(wanted):
            wanted = self.build(version)
        if wanted != self.deployments.version():
            self.deployments.set_variable("VERSION", wanted)
            self.deployments.record("start", wanted, self.seconds, "ok")
        return wanted

    def build(self, version: str = "") -> str:
        self.target = version = version or self.unused_version(current_commit())
        self.log(f"building version {version}")
        services = ["web", "celery-certificates", *self.tier.select(KEPT)]
        self.tier.compose("build", "--quiet", *services, version=version, stream_output=True)
        return version

    def unused_version(self, name: str) -> str:
        """A new name where this version has served already: a build must not replace its image."""
        return f"{name}-{time.strftime('%Y%m%d%H%M%S')}" if self.deployments.has_served(name) else name

    def migrate(self, version: str) -> None:
        """Migrate with the new image, which also publishes its static files beside those of earlier versions."""
        self.log("migrating the database and publishing static files")
        if self.tier.select(["roles"]):  # none with docker/compose/managed.yml
            self.tier.run_one_off("roles", version=version)
        self.tier.run_one_off("migrate", version=version, stream_output=True)

    def switch(self, version: str, counts: dict[str, int]) -> None:
        """Replace the services' containers by so many new ones once all are ready; on failure change nothing."""
        old, name = self.tier.application(counts), f"web-{int(time.time())}"
        services = ["web", *self.tier.workers(version)]
        counts = {service: count for service, count in counts.items() if service in services}
        try:
            self.log(f"starting {format_counts(counts)} of version {version}, out of traffic")
            new = self.tier.create(version, counts)
            self.tier.start(new)
            self.log("ready; switching traffic")
            if "web" in counts:
                self.tier.connect(new, name)
                self.tier.route_to(name)
        except BaseException:
            ignore_signals()
            self.log("removing the new containers")
            known = {one.id for one in old}
            self.take_out([one for one in self.tier.application(counts) if one.id not in known], old)
            raise
        # From here on the new version stays; an interruption would leave both running.
        ignore_signals()
        for service, variable in VARIABLES.items():
            if service in counts:
                self.deployments.set_variable(variable, str(counts[service]))
        self.deployments.set_variable("VERSION", version)
        self.tier.publish_counts(self.tier.counts | counts)
        self.log(f"draining {', '.join(one.name for one in old)}")
        self.tier.remove(old)
        self.tier.route_to("web")
        self.tier.sync_one_off_services(version)

    def deploy(self, version: str) -> str:
        version = fetch(self.tier, self.deployments, version[1:]) if version.startswith("@") else version
        self.remove_leftovers()
        version = self.require_image(version) if version else self.build()
        self.migrate(version)
        if self.tier.select(["broker"]):  # an earlier version had none
            self.tier.compose("up", "--detach", "--no-deps", "--no-recreate", "broker", version=version)
        self.switch(version, self.tier.counts)
        for service in self.tier.select(KEPT):
            if self.tier.is_outdated(service):
                self.log(f"{service} has changed too: {MAKE}-up replaces it, with a one-second pause")
        return version

    def rollback(self, version: str) -> str:
        """Serve the previous version, or an older one whose image exists; the database is not changed."""
        self.remove_leftovers()
        current = self.deployments.version()
        served = self.deployments.list_served_versions()
        earlier = [one for one in served if one != current and self.tier.has_image(one)]
        if not version and not earlier:
            raise RefusedError("There is no earlier version whose image still exists.")
        version = self.require_image(version or earlier[0])
        self.check_migrations(version)
        # Its static files count as new again, so that they are not pruned.
        self.tier.run_one_off("migrate", "python", "manage.py", "publish_static", version=version)
        self.switch(version, self.tier.counts)
        return version

    def check_migrations(self, version: str) -> None:
        """Log migrations that the version does not know; raise RefusedError if one breaks it, unless FORCE=1."""
        report = ["python", "manage.py", "migration_report"]
        serving = json.loads(self.tier.execute(self.tier.web()[0], *report))
        older = json.loads(self.tier.run_one_off("web", *report, version=version))
        unknown = {name: facts for name, facts in serving.items() if facts["applied"] and not older[name]["known"]}
        for name, facts in unknown.items():
            self.log(f"version {version} does not know {name}" + (", which breaks it" if breaks(facts) else ""))
        breaking = [name for name, facts in unknown.items() if breaks(facts)]
        if breaking and os.environ.get("FORCE") != "1":
            raise RefusedError(
                f"Version {version} does not work with {', '.join(breaking)}. Set FORCE=1 to roll back anyway."
            )

    def scale(self, web: str, worker: str) -> str:
        """Run so many containers of the current version. All are replaced, so that up and down work alike."""
        counts = {"web": parse_count("WEB", web, MAX_REPLICAS["web"])} if web else {}
        if worker:
            counts["celery-worker"] = parse_count("WORKER", worker, MAX_REPLICAS["celery-worker"])
        if not counts:
            raise RefusedError(f"How many? {MAKE}-scale WEB=2, WORKER=2, or both")
        self.remove_leftovers()
        version = self.deployments.version()
        self.switch(version, counts)
        return version

    def require_image(self, version: str) -> str:
        if not self.tier.has_image(version):
            raise RefusedError(f"Image {self.tier.image('web', version)} does not exist. {MAKE}-status lists versions.")
        self.target = version
        return version

    def prune(self) -> None:
        """Remove the images of obsolete versions."""
        for version in self.deployments.list_obsolete_versions():
            images = {self.tier.image(one, version) for one in SERVICES if self.tier.has_image(version, one)}
            for image in sorted(images):
                run(["docker", "image", "rm", image])
                self.log(f"removed {image}")


def parse_count(name: str, text: str, most: int) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise RefusedError(f"{name}={text} is not a number from 1 to {most}.")
    return int(text)


def format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {service}" for service, count in counts.items())


def format_history(history: list[dict[str, Any]]) -> str:
    """The last entries, newest first."""
    lines = [
        f"{entry['time'][:16]}  {entry['action']:8}  {entry['version']:20} {entry['seconds']:6.1f} s  {entry['by']:20} "
        f"{' '.join([entry['outcome'], entry.get('backup', '')]).strip()}"
        for entry in reversed(history[-HISTORY_LINES:])
    ]
    return "\n".join(["last deploys:", *(lines or ["none yet"])])


def breaks(facts: dict[str, bool]) -> bool:
    return facts["breaks_previous_version"] is True


def current_commit() -> str:
    """The commit's name, with `-dirty` if files differ from it."""
    try:
        return run(["git", "describe", "--always", "--dirty", "--abbrev=12"]).strip()
    except (DeployError, FileNotFoundError):
        return "unversioned"


def run_and_record(deployments: Deployments, deploy: Deploy, action: str, *values: str) -> int:
    """Run the action, record its outcome, and return the exit code."""
    before = deployments.version()
    try:
        version = getattr(deploy, action)(*values)
    except (DeployError, KeyboardInterrupt) as error:
        ignore_signals()
        deploy.tier.remove_one_off_containers()
        reason = str(error) or "interrupted"
        deployments.record(action, deploy.target, deploy.seconds, reason.splitlines()[0])
        deploy.log(f"the {action} failed; version {deployments.version()} still serves: {reason}")
        return 1
    deployments.record(action, version, deploy.seconds, "ok")
    try:
        deploy.prune()
    except DeployError as error:
        deploy.log(f"old images could not be removed: {error}")
    deploy.log(f"version {version} serves" + (f" instead of {before}" if version != before else ""))
    return 0


def interrupt(*_: object) -> None:
    ignore_signals()  # the clean-up must not be interrupted
    raise KeyboardInterrupt


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def catch_signals() -> None:
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)


def main(action: str, *values: str) -> int:
    catch_signals()
    deployments = Deployments(ENV_FILE)
    if action == "history":
        print(format_history(deployments.history()))
        return 0
    deploy = Deploy(Tier(ENV_FILE), deployments)
    try:
        with deployments.lock(" ".join(filter(None, [action, *values]))):
            if action in ("build", "prepare"):
                getattr(deploy, action)(*values)
                return 0
            return run_and_record(deployments, deploy, action, *values)
    except (RefusedError, DeployError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
