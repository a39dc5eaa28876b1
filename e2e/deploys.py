"""A prod tier for deploys: versions are commits of its checkout, deployed under constant load."""

import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from e2e.load import Load, Request
from e2e.site import Site, ask
from e2e.stack import ADMINISTRATOR, DATABASE, MAKE_SECONDS, PASSWORD, Stack, docker

GIT = ["git", "-c", "user.name=e2e", "-c", "user.email=e2e@localhost"]
SCRIPT = re.compile(r"deploy\.\w+")
STYLE = "customers/static/customers/e2e.css"
NAMES = "import json; print(json.load(open('/app/staticfiles/staticfiles.json'))['paths']['customers/e2e.css'])"
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("customers", "{last}")]
    breaks_previous_version = {breaks}
    operations = [migrations.RunSQL("{operation}", "SELECT 1")]
"""
COUNT = (
    "from customers.models import Customer as C; print(*C.objects.filter(given_name='Load').values_list('family_name'))"
)


class Deployed:
    """A stack with the first version running and its administrator logged in."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        # Versions are named by their commits.
        del stack.environment["VERSION"]
        self.commit({STYLE: "a { color: red }\n"})
        stack.make("prod-env")
        stack.make("prod-up")
        self.site = Site("localhost", stack.ports["nginx"])
        stack.create_administrator()
        self.session = log_in(self.site)

    def sql(self, statement: str) -> str:
        return self.stack.within("db", "psql", "-qtAX", "-U", DATABASE, "-c", statement).strip()

    def commit(self, files: dict[str, str]) -> str:
        """Commit the files, and return the new version."""
        for name, text in files.items():
            path = self.stack.checkout / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.stack.run(*GIT, "add", "--all")
        self.stack.run(*GIT, "commit", "--quiet", "--message", "A version")
        return self.stack.run("git", "describe", "--always", "--abbrev=12").strip()

    def append(self, name: str, text: str) -> str:
        return self.commit({name: (self.stack.checkout / name).read_text() + text})

    def tag(self, version: str) -> str:
        """Create a version that uses the image of the running one."""
        for image in ("exhibition-crm", "exhibition-crm-certificates"):
            docker("tag", f"{image}:{self.version}", f"{image}:{version}")
        return version

    def migration(self, operation: str, *, breaks: bool = False) -> dict[str, str]:
        """Return the name and content of a migration after the last one."""
        folder = self.stack.checkout / "customers/migrations"
        last = sorted(path.stem for path in folder.glob("0*.py"))[-1]
        text = MIGRATION.format(last=last, operation=operation, breaks=breaks)
        return {f"customers/migrations/{int(last[:4]) + 1:04}_e2e.py": text}

    def back(self) -> None:
        """Reset the checkout to the previous commit."""
        self.stack.run("git", "reset", "--quiet", "--hard", "HEAD~1")

    @property
    def version(self) -> str:
        """Return the running version, from the env file."""
        return str(re.findall(r"^VERSION=(.+)$", (self.stack.checkout / ".envs/.env.production").read_text(), re.M)[-1])

    def web(self) -> list[str]:
        return self.stack.containers("web")

    def versions(self) -> list[str]:
        """Return the versions of web's containers; they must be reached, and workers run the same."""
        found = [json.loads(docker("inspect", container))[0] for container in self.web()]
        assert all(f"{self.stack.project}_frontend" in one["NetworkSettings"]["Networks"] for one in found)
        workers = [self.stack.inspect(service) for service in ("celery-worker", "celery-certificates", "celery-beat")]
        assert {one["State"]["Status"] for one in workers} == {"running"}
        versions = [one["Config"]["Image"].rpartition(":")[2] for one in found]
        assert {one["Config"]["Image"].rpartition(":")[2] for one in workers} == set(versions)
        return versions

    @property
    def history_file(self) -> Path:
        return self.stack.checkout / ".envs/deployments.jsonl"

    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.history_file.read_text().splitlines()]

    def get_upstream(self) -> str:
        """Return the name of nginx' upstream."""
        (name,) = re.findall(r"default +(.+):8000;", self.stack.within("nginx", "cat", "/etc/nginx/conf.d/web.conf"))
        return str(name)

    def resolve(self, name: str) -> set[str]:
        """Return the addresses that nginx resolves the name to."""
        found = self.stack.within("nginx", "sh", "-c", f"getent ahostsv4 {name} || true")
        return set(re.findall(r"^(\S+) +STREAM", found, re.M))

    def addresses(self, containers: list[str]) -> set[str]:
        network = f"{self.stack.project}_frontend"
        found = [json.loads(docker("inspect", container))[0] for container in containers]
        return {one["NetworkSettings"]["Networks"][network]["IPAddress"] for one in found}

    def list_resources(self) -> dict[str, set[str]]:
        """Return the containers, networks and volumes of this tier."""
        return {kind: set(self.stack.list_resources(kind)) for kind in ("container", "network", "volume")}

    @contextmanager
    def keep_visiting(self, rate: int = 30) -> Iterator[Load]:
        """Send requests during the block, none of which may fail."""
        with self.load(rate) as load:
            yield load
        print(f"{load.report()}, longest gap {1000 * longest_gap(load):.0f} ms")
        assert [(one.request.path, one.start, one.seconds, one.answer) for one in load.failures] == []

    def style(self) -> str:
        """Return the path of the style sheet in the running version."""
        return f"/static/{self.stack.within('web', 'python', '-c', NAMES).strip()}"

    def load(
        self, rate: int, *, count: int | None = None, more: Sequence[Request | Callable[[int], Request]] = ()
    ) -> Load:
        """Return 20 requests: one POST that writes, and pages, redirects and files."""
        page = [Request("GET", "/admin/login/", 200), Request("GET", "/", 302), Request("GET", self.style(), 200)]
        requests: list[Request | Callable[[int], Request]] = [self.creation, *page * 3, *more, *page * 3]
        return Load(self.site, requests[:20], rate, count=count, clients=24)

    def creation(self, number: int) -> Request:
        """Return a POST of a customer named after the number of the request."""
        return create_customer(self.session, number)

    def list_created(self) -> list[int]:
        """Return the sorted numbers of the customers in the database."""
        shell = f"python manage.py shell --no-imports -c {shlex.quote(COUNT)}"
        return sorted(map(int, re.findall(r"\d+", self.stack.within("web", "sh", "-c", shell))))


def switch_under_load(deployed: Deployed, operation: str, rate: int, count: int) -> int:
    """Deploy, roll back or scale again and again during so many requests, none of which may fail; return how often."""
    versions = itertools.cycle([deployed.tag(f"{operation}-1"), deployed.tag(f"{operation}-2")])
    counts, switches = itertools.cycle("21"), 0
    with deployed.load(rate, count=count) as load:
        while load.is_running:
            value = f"WEB={next(counts)}" if operation == "scale" else f"VERSION={next(versions)}"
            deployed.stack.make(f"prod-{operation}", value)
            switches += 1
    print(f"{operation}: {switches} switches, {load.report()}, longest gap {1000 * longest_gap(load):.0f} ms")
    assert [(one.request.path, one.start, one.answer) for one in load.failures] == []
    assert len(load.samples) == count
    return switches


class BackgroundRun:
    """A running `make …` of this stack, whose output can be read."""

    def __init__(self, stack: Stack, *arguments: str) -> None:
        self.log = stack.checkout.parent / f"make-{time.monotonic_ns()}.log"
        # As from a terminal: whoever runs the tests may ignore these signals.
        command = ["env", "--default-signal=INT,HUP", "make", *arguments]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                cwd=stack.checkout,
                env=stack.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **stack.credentials,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for_output(self, text: str) -> None:
        while text not in self.output:
            assert self.process.poll() is None, self.output
            time.sleep(0.02)

    def script(self) -> psutil.Process:
        children = psutil.Process(self.process.pid).children(recursive=True)
        # The first: what it is about to start looks the same for a moment.
        return next(child for child in children if any(map(SCRIPT.fullmatch, child.cmdline())))

    def kill(self) -> None:
        """Kill only the script, so that it cannot clean up; its child processes go on."""
        self.script().kill()

    def interrupt(self, number: signal.Signals) -> None:
        """Send Ctrl-C to all its processes, as a terminal does; make does not always wait for the script."""
        script = self.script()
        os.killpg(self.process.pid, number)
        script.wait(MAKE_SECONDS)

    def wait(self) -> int:
        return self.process.wait(MAKE_SECONDS)


def create_customer(session: dict[str, str], number: int) -> Request:
    form = f"csrfmiddlewaretoken={session['token']}&given_name=Load&family_name={number}&stage=lead&source=stand"
    return Request("POST", "/admin/customers/customer/add/", 302, form_headers(session), form)


def form_headers(session: dict[str, str]) -> dict[str, str]:
    return {
        "Cookie": session["cookie"],
        "Referer": "https://localhost/",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def log_in(site: Site) -> dict[str, str]:
    """Return the administrator's Cookie header and the CSRF token."""
    (token,) = re.findall(r"csrftoken=(\w+)", ask(site, "GET", "/admin/login/").headers["Set-Cookie"])
    session = {"cookie": f"csrftoken={token}", "token": token}
    form = f"csrfmiddlewaretoken={token}&username={ADMINISTRATOR}&password={PASSWORD.replace(' ', '+')}&next=/admin/"
    answer = ask(site, "POST", "/admin/login/", form_headers(session), form)
    cookies = dict(re.findall(r"(csrftoken|sessionid)=(\w+)", " ".join(answer.headers.get_all("Set-Cookie") or [])))
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "token": cookies["csrftoken"]}


def longest_gap(load: Load) -> float:
    """Return the longest time between two responses, in seconds."""
    ends = sorted(sample.end for sample in load.samples if not sample.failed)
    return max(later - earlier for earlier, later in itertools.pairwise(ends))
