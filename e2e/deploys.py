"""A prod tier that is deployed to: versions are commits of its checkout, and visitors never stop asking."""

import itertools
import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from e2e.load import Load, Request
from e2e.stack import ADMINISTRATOR, MAKE_SECONDS, PASSWORD, Site, Stack, ask, docker

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
    """The stack, with the first version running and its administrator logged in."""

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

    def commit(self, files: dict[str, str]) -> str:
        """Write the files, and return the version that this makes."""
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
        """A further version, whose image is that of the one that serves."""
        docker("tag", f"exhibition-crm:{self.version}", f"exhibition-crm:{version}")
        return version

    def migration(self, operation: str, *, breaks: bool = False) -> dict[str, str]:
        """The file of a migration after the last one."""
        folder = self.stack.checkout / "customers/migrations"
        last = sorted(path.stem for path in folder.glob("0*.py"))[-1]
        text = MIGRATION.format(last=last, operation=operation, breaks=breaks)
        return {f"customers/migrations/{int(last[:4]) + 1:04}_e2e.py": text}

    def back(self) -> None:
        """To the commit before."""
        self.stack.run("git", "reset", "--quiet", "--hard", "HEAD~1")

    @property
    def version(self) -> str:
        """The one that serves, as the env file has it."""
        return str(re.findall(r"^VERSION=(.+)$", (self.stack.checkout / ".envs/.env.production").read_text(), re.M)[-1])

    def web(self) -> list[str]:
        return self.stack.containers("web")

    def versions(self) -> list[str]:
        """Of web's containers, each in traffic."""
        found = [json.loads(docker("inspect", container))[0] for container in self.web()]
        assert all(f"{self.stack.project}_frontend" in one["NetworkSettings"]["Networks"] for one in found)
        return [one["Config"]["Image"].rpartition(":")[2] for one in found]

    @property
    def history_file(self) -> Path:
        return self.stack.checkout / ".envs/deployments.jsonl"

    def history(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.history_file.read_text().splitlines()]

    def directed(self) -> str:
        """The name that nginx asks for."""
        (name,) = re.findall(r"default (.+):8000;", self.stack.within("nginx", "cat", "/etc/nginx/conf.d/web.conf"))
        return str(name)

    def resolved(self, name: str) -> set[str]:
        """The addresses that nginx gets for the name."""
        found = self.stack.within("nginx", "sh", "-c", f"getent ahostsv4 {name} || true")
        return set(re.findall(r"^(\S+) +STREAM", found, re.M))

    def addresses(self, containers: list[str]) -> set[str]:
        network = f"{self.stack.project}_frontend"
        found = [json.loads(docker("inspect", container))[0] for container in containers]
        return {one["NetworkSettings"]["Networks"][network]["IPAddress"] for one in found}

    def everything(self) -> dict[str, set[str]]:
        """What there is of this tier."""
        return {kind: set(self.stack.left(kind)) for kind in ("container", "network", "volume")}

    @contextmanager
    def visited(self, rate: int = 30) -> Iterator[Load]:
        """None of the requests during the block fails."""
        with self.load(rate) as load:
            yield load
        print(f"{load.report()}, longest gap {1000 * longest_gap(load):.0f} ms")
        assert [(one.request.path, one.start, one.seconds, one.answer) for one in load.failures] == []

    def style(self) -> str:
        """The path of the style sheet, under the name that the running version has for it."""
        return f"/static/{self.stack.within('web', 'python', '-c', NAMES).strip()}"

    def load(self, rate: int, *, count: int | None = None, more: list[Request] | None = None) -> Load:
        """Of 20 requests 1 is a POST that writes, and the others are pages, redirects and files."""
        page = [Request("GET", "/admin/login/", 200), Request("GET", "/", 302), Request("GET", self.style(), 200)]
        requests: list[Request | Callable[[int], Request]] = [self.creation, *page * 3, *(more or []), *page * 3]
        return Load(self.site, requests[:20], rate, count=count, clients=24)

    def creation(self, number: int) -> Request:
        """A customer whose name is the request's number."""
        form = (
            f"csrfmiddlewaretoken={self.session['token']}&given_name=Load&family_name={number}&stage=lead&source=stand"
        )
        return Request("POST", "/admin/customers/customer/add/", 302, form_headers(self.session), form)

    def created(self) -> list[int]:
        """The numbers of the customers that are in the database, in order."""
        shell = f"python manage.py shell --no-imports -c {shlex.quote(COUNT)}"
        return sorted(map(int, re.findall(r"\d+", self.stack.within("web", "sh", "-c", shell))))


class UnderWay:
    """`make …` of this stack, begun; what it says is read while it goes on."""

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
    def said(self) -> str:
        return self.log.read_text()

    def wait_to_say(self, text: str) -> None:
        while text not in self.said:
            assert self.process.poll() is None, self.said
            time.sleep(0.02)

    def script(self) -> psutil.Process:
        children = psutil.Process(self.process.pid).children(recursive=True)
        # The first: what it is about to start looks the same for a moment.
        return next(child for child in children if any(map(SCRIPT.fullmatch, child.cmdline())))

    def kill(self) -> None:
        """The script alone, so that nothing can be cleared away; what it has begun goes on."""
        self.script().kill()

    def interrupt(self, number: signal.Signals) -> None:
        """As a terminal does it: to all that was started from it. make does not always wait for the script."""
        script = self.script()
        os.killpg(self.process.pid, number)
        script.wait(MAKE_SECONDS)

    def wait(self) -> int:
        return self.process.wait(MAKE_SECONDS)


def form_headers(session: dict[str, str]) -> dict[str, str]:
    return {
        "Cookie": session["cookie"],
        "Referer": "https://localhost/",
        "Content-Type": "application/x-www-form-urlencoded",
    }


def log_in(site: Site) -> dict[str, str]:
    """The Cookie header of the administrator, and the token for forms."""
    (token,) = re.findall(r"csrftoken=(\w+)", ask(site, "GET", "/admin/login/").headers["Set-Cookie"])
    session = {"cookie": f"csrftoken={token}", "token": token}
    form = f"csrfmiddlewaretoken={token}&username={ADMINISTRATOR}&password={PASSWORD.replace(' ', '+')}&next=/admin/"
    answer = ask(site, "POST", "/admin/login/", form_headers(session), form)
    cookies = dict(re.findall(r"(csrftoken|sessionid)=(\w+)", " ".join(answer.headers.get_all("Set-Cookie") or [])))
    return {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), "token": cookies["csrftoken"]}


def longest_gap(load: Load) -> float:
    """Seconds between two answers, at most."""
    ends = sorted(sample.end for sample in load.samples if not sample.failed)
    return max(later - earlier for earlier, later in itertools.pairwise(ends))
