"""A prod tier, the observability tier beside it, and a service that keeps the notifications."""

import dataclasses
import json
import math
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from e2e import mail_server
from e2e.deploys import Deployed
from e2e.site import ask
from e2e.stack import DATABASE, Stack, free_ports, seconds_until

HOOK = """
services:
  hook:
    image: python:3.13-slim-trixie
    command: [python3, -u, /hook.py]
    volumes: ["./hook.py:/hook.py:ro"]
    stop_grace_period: 1s
  mail:
    image: python:3.13-slim-trixie
    command: [python3, -u, /mail.py]
    volumes: ["./mail.py:/mail.py:ro"]
    stop_grace_period: 1s
  # The tier itself has no mail server, as a fault.
  alertmanager: {environment: {EMAIL_HOST: mail, EMAIL_PORT: "2525"}}
"""
# Fires ten minutes after the faults whose errors it adds up.
BUDGETS = {"ErrorBudgetSpent"}
# Prints the notifications of Alertmanager.
SERVER = """
import http.server, json, time

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            print(json.dumps([time.time(), self.path, alert["status"], alert["labels"]["alertname"]]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments):
        pass

http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
DISK = """
volumes:
  metrics: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=10m,mode=1777"}}
"""
SETTINGS = """
ALERT_EMAIL=operator@example.com
ALERT_WEBHOOK_URL=http://hook:8000/alerts
ALERT_WATCHDOG_URL=http://hook:8000/watchdog
EMAIL_HOST=mail.invalid
EMAIL_USE_TLS=false
"""


@dataclasses.dataclass(frozen=True)
class Notification:
    time: float  # Unix time
    path: str
    status: str
    alert: str


def query(port: int, expression: str) -> list[dict[str, Any]]:
    """Return the series of an instant query to the Prometheus on this port; none while it starts."""
    address = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(address, timeout=10) as response:
            series: list[dict[str, Any]] = json.load(response)["data"]["result"]
    except OSError:
        return []
    return series


class Observed(Deployed):
    def __init__(self, stack: Stack) -> None:
        # As users have it: one name in the env file for both projects.
        name = stack.environment.pop("COMPOSE_PROJECT_NAME")
        (port,) = free_ports(1)
        stack.environment |= {"COMPOSE_PROJECT": name, "PROMETHEUS_PORT": str(port)}
        stack.project = f"{name}-prod"
        self.watching = dataclasses.replace(
            stack,
            project=f"{name}-observability",
            ports={"prometheus": port},
            environment=stack.environment | {"COMPOSE_FILE": "docker-compose.observability.yml:hook.yml"},
        )
        (stack.checkout / "hook.yml").write_text(HOOK)
        (stack.checkout / "hook.py").write_text(SERVER)
        (stack.checkout / "mail.py").write_text(mail_server.SCRIPT)
        stack.configure(SETTINGS)
        # Small enough to be filled
        stack.overlay("disk.yml", DISK)
        super().__init__(stack)
        self.watching.compose("up", "--detach", "hook", "mail")
        stack.make("obs-up")
        # Alertmanager with the mail server
        self.watching.compose("up", "--detach")
        seconds_until(lambda: self.is_measured() and not self.firing(), 90)

    def query(self, expression: str) -> list[dict[str, Any]]:
        return query(self.watching.ports["prometheus"], expression)

    def firing(self) -> set[str]:
        """Return the alerts that are told to somebody, or soon will be, but for that of the former faults' errors."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{severity!="none"}')} - BUDGETS

    def is_measured(self) -> bool:
        """Whether each service of the application is, and every target answers."""
        services = self.query('count by (service) (up{job="application"} == 1)')
        return len(services) == 4 and not self.query("up == 0")

    def notifications(self, since: float = 0, path: str = "/alerts") -> list[Notification]:
        lines = self.stack.run("docker", "logs", self.watching.container("hook")).splitlines()
        notified = [Notification(*json.loads(line)) for line in lines]
        return [one for one in notified if one.time >= since and one.path == path]

    def list_fired(self, since: float) -> set[str]:
        """Return the alerts that somebody was told of, but for that of the former faults' errors."""
        return {one.alert for one in self.notifications(since) if one.status == "firing"} - BUDGETS

    def wait_for(self, alert: str, status: str, since: float, limit: float) -> float:
        """Return how many seconds after `since` the notification came, or infinity if it did not within the limit."""
        while time.time() < since + limit:
            for one in self.notifications(since):
                if (one.alert, one.status) == (alert, status):
                    return one.time - since
            time.sleep(0.5)
        return math.inf

    def visit(self, path: str) -> int:
        """Return the status that the administrator gets."""
        return ask(self.site, "GET", path, self.session).status

    @contextmanager
    def begin(self, statements: str) -> Iterator[None]:
        """Run them in a transaction that ends with the block."""
        command = ["docker", "compose", "exec", "-T", "db", "psql", "-qX", "-U", DATABASE]
        with subprocess.Popen(
            command,
            cwd=self.stack.checkout,
            env=self.stack.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as psql:
            assert psql.stdin
            assert psql.stdout
            psql.stdin.write(f"BEGIN; {statements}; \\echo begun\n")
            psql.stdin.flush()
            for line in psql.stdout:
                if line == "begun\n":
                    break
            yield
            psql.stdin.close()

    def add_alert(self, *words: str) -> None:
        """Add an alert, as if Prometheus had; it ends within a minute."""
        end = (datetime.now(UTC) + timedelta(minutes=1)).isoformat(timespec="seconds")
        options = ["--alertmanager.url=http://localhost:9093", f"--end={end}"]
        self.watching.within("alertmanager", "amtool", "alert", "add", *options, *words)
