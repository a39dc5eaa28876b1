"""Replaces web without losing a request: `python3 -m deploy.deploy deploy [VERSION]`, `rollback [VERSION]`, `scale N`.

Whatever fails, and wherever it is interrupted, one version serves: the old one until `VERSION` in the env file names
the new one. The next run clears away what is left.
"""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from deploy.deployments import Deployments, RefusedError
from deploy.tier import Container, FailedError, Tier, run

ENV_FILE = Path(".envs/.env.production")
LISTED = 5
# Each takes up to 768 MB, and 16 of PostgreSQL's 100 connections; during a switch there are twice as many.
MOST_REPLICAS = 3
# A lost connection and a stop from outside end a deploy as Ctrl-C does.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Deploy:
    """One deploy, rollback or scaling of a tier that runs."""

    def __init__(self, tier: Tier, deployments: Deployments) -> None:
        self.tier, self.deployments = tier, deployments
        self.started = time.monotonic()
        self.wanted = deployments.version()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # the terminal can be gone; the work is not
            print(f"[{self.seconds:5.1f} s] {text}", flush=True)

    def settle(self) -> None:
        """Remove what an interrupted run left, so that the recorded version alone serves."""
        serving = self.serving()
        if not serving:
            version = self.deployments.version() or "none"
            raise RefusedError(f"No container of version {version} serves. Start the tier first: make prod-up")
        self.tier.remove_once()
        kept = serving[-self.tier.replicas :]
        left = [one for one in self.tier.web() if one not in kept]
        if left:
            self.say(f"clearing away what an earlier run left: {', '.join(one.name for one in left)}")
        self.clear(left, kept)

    def serving(self) -> list[Container]:
        version = self.deployments.version()
        return [one for one in self.tier.web() if one.version == version and one.in_traffic and one.is_running]

    def clear(self, left: list[Container], kept: list[Container]) -> None:
        """Send them no more requests, then remove them."""
        if any(one.in_traffic for one in left):
            self.tier.direct(kept[-1].name)
        self.tier.remove(left)
        self.tier.direct("web")

    def prepare(self, version: str) -> str:
        """What `make prod-up` starts: the version that was deployed last, at first the one that is checked out."""
        self.tier.remove_once()
        if self.serving():
            self.settle()
        wanted = version or self.deployments.version()
        if not wanted or not self.tier.has_image(wanted):
            wanted = self.build(version)
        if wanted != self.deployments.version():
            self.deployments.set_variable("VERSION", wanted)
            self.deployments.note("start", wanted, self.seconds, "ok")
        return wanted

    def build(self, version: str = "") -> str:
        self.wanted = version = version or self.unused(checked_out())
        self.say(f"building version {version}")
        self.tier.compose("build", "--quiet", "web", "nginx", "certbot", "backup", version=version, shown=True)
        return version

    def unused(self, name: str) -> str:
        """What has served keeps its image, whatever becomes of the one that is built now."""
        return f"{name}-{time.strftime('%Y%m%d%H%M%S')}" if name in self.deployments.served() else name

    def migrate(self, version: str) -> None:
        """In the new image, which also publishes its static files beside those of the versions before."""
        self.say("migrating the database and publishing static files")
        self.tier.once("migrate", version=version, shown=True)

    def switch(self, version: str, count: int) -> None:
        """Let `count` new containers take over from those that serve, once every one is ready; or change nothing."""
        old, name = self.tier.web(), f"web-{int(time.time())}"
        try:
            self.say(f"starting {count} of version {version}, apart from traffic")
            new = self.tier.create(version, count)
            self.tier.start(new)
            self.say("ready; taking over the traffic")
            self.tier.connect(new, name)
            self.tier.direct(name)
        except BaseException:
            ignore_signals()
            self.say("removing what was started")
            known = {one.id for one in old}
            self.clear([one for one in self.tier.web() if one.id not in known], old)
            raise
        # From here on the new version is the one to keep, and to stop half-way would keep both.
        ignore_signals()
        self.deployments.set_variable("WEB_REPLICAS", str(count))
        self.deployments.set_variable("VERSION", version)
        self.say(f"draining {', '.join(one.name for one in old)}")
        self.tier.remove(old)
        self.tier.direct("web")
        self.tier.follow(version)

    def deploy(self, version: str) -> str:
        self.settle()
        version = self.existing(version) if version else self.build()
        self.migrate(version)
        self.switch(version, self.tier.replicas)
        for service in ("nginx", "certbot", "backup"):
            if self.tier.is_outdated(service):
                self.say(f"{service} has changed too: make prod-up replaces it, with a pause of a second")
        return version

    def rollback(self, version: str) -> str:
        """To the version before, or to an older one; its image exists, and the database stays as it is."""
        self.settle()
        current = self.deployments.version()
        earlier = [one for one in self.deployments.served() if one != current and self.tier.has_image(one)]
        if not version and not earlier:
            raise RefusedError("No earlier version is known whose image is still here.")
        version = self.existing(version or earlier[0])
        self.check_migrations(version)
        # The age of its static files begins anew.
        self.tier.once("migrate", "python", "manage.py", "publish_static", version=version)
        self.switch(version, self.tier.replicas)
        return version

    def check_migrations(self, version: str) -> None:
        """Tell which migrations the version does not know; refuse where one of them breaks it, unless FORCE is set."""
        report = ["python", "manage.py", "migration_report"]
        serving = json.loads(self.tier.within(self.tier.web()[0], *report))
        older = json.loads(self.tier.once("web", *report, version=version))
        unknown = {name: facts for name, facts in serving.items() if facts["applied"] and not older[name]["known"]}
        for name, facts in unknown.items():
            self.say(f"version {version} does not know {name}" + (", which breaks it" if breaks(facts) else ""))
        breaking = [name for name, facts in unknown.items() if breaks(facts)]
        if breaking and os.environ.get("FORCE") != "1":
            raise RefusedError(
                f"Version {version} cannot work with {', '.join(breaking)}. FORCE=1 does it all the same."
            )

    def scale(self, count: str) -> str:
        """So many containers of the version that serves, all of them new: one way for more and for fewer."""
        if not count.isdecimal() or not 1 <= int(count) <= MOST_REPLICAS:
            raise RefusedError(f"WEB={count} is not a number from 1 to {MOST_REPLICAS}.")
        self.settle()
        version = self.deployments.version()
        self.switch(version, int(count))
        return version

    def existing(self, version: str) -> str:
        if not self.tier.has_image(version):
            raise RefusedError(f"There is no image {self.tier.repository}:{version}. make prod-status lists versions.")
        self.wanted = version
        return version

    def prune(self) -> None:
        """Images of versions that nobody will go back to."""
        for version in self.deployments.obsolete():
            if self.tier.has_image(version):
                run(["docker", "image", "rm", f"{self.tier.repository}:{version}"])
                self.say(f"removed the image of version {version}")


def told(history: list[dict[str, Any]]) -> str:
    """The last ones, newest first."""
    lines = [
        f"{entry['time'][:16]}  {entry['action']:8}  {entry['version']:20} {entry['seconds']:6.1f} s  {entry['by']:20} "
        f"{' '.join([entry['outcome'], entry.get('backup', '')]).strip()}"
        for entry in reversed(history[-LISTED:])
    ]
    return "\n".join(["last deploys:", *(lines or ["none yet"])])


def breaks(facts: dict[str, bool]) -> bool:
    return facts["breaks_previous_version"] is True


def checked_out() -> str:
    """The commit; with `-dirty` where files differ from it."""
    try:
        return run(["git", "describe", "--always", "--dirty", "--abbrev=12"]).strip()
    except (FailedError, FileNotFoundError):
        return "unversioned"


def recorded(deployments: Deployments, deploy: Deploy, action: str, value: str) -> int:
    """Do it and write down how it ended; returns the exit code."""
    before = deployments.version()
    try:
        version = getattr(deploy, action)(value)
    except (FailedError, KeyboardInterrupt) as error:
        ignore_signals()
        deploy.tier.remove_once()
        reason = str(error) or "interrupted"
        deployments.note(action, deploy.wanted, deploy.seconds, reason.splitlines()[0])
        deploy.say(f"the {action} has failed, and version {deployments.version()} serves: {reason}")
        return 1
    deployments.note(action, version, deploy.seconds, "ok")
    try:
        deploy.prune()
    except FailedError as error:
        deploy.say(f"what is old could not be pruned: {error}")
    deploy.say(f"version {version} serves" + (f", in place of {before}" if version != before else ""))
    return 0


def interrupt(*_: object) -> None:
    ignore_signals()  # what follows is the clearing away
    raise KeyboardInterrupt


def ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def catch_signals() -> None:
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, interrupt)


def main(action: str, value: str = "") -> int:
    catch_signals()
    deployments = Deployments(ENV_FILE)
    if action == "history":
        print(told(deployments.history()))
        return 0
    deploy = Deploy(Tier(ENV_FILE), deployments)
    try:
        with deployments.lock(f"{action} {value}".strip()):
            if action in ("build", "prepare"):
                getattr(deploy, action)(value)
                return 0
            return recorded(deployments, deploy, action, value)
    except (RefusedError, FailedError, KeyboardInterrupt) as error:
        print(str(error) or "interrupted")
        return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
