"""A prod tier whose tasks send mails to a server of its own, which keeps what it is sent."""

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from e2e import mail_server
from e2e.deploys import Deployed
from e2e.stack import Stack, docker, seconds_until

WORKERS = 4
SETTINGS = "EMAIL_HOST=mail\nEMAIL_PORT=2525\nEMAIL_USE_TLS=false\nWHATSAPP_API_URL=http://mock:8001\n"
WHATSAPP = {
    "WHATSAPP_TOKEN": "token",
    "WHATSAPP_PHONE_NUMBER_ID": "1",
    "WHATSAPP_APP_SECRET": "secret",
    "WHATSAPP_VERIFY_TOKEN": "verify",
}
SETTINGS += "".join(f"{name}={value}\n" for name, value in WHATSAPP.items())
# The PID of what the watchdog watches, in a shell of the container.
CHILD = "$(cat /proc/$(cat /proc/1/task/1/children | tr -d ' ')/task/*/children | tr -d ' ')"
ENQUEUE = """
from django.db import OperationalError, connection, transaction
from core_apps.accounts.background import send_password_reset
committed, rolled_back = 0, 0
while committed < {committed} or rolled_back < {rolled_back}:
    try:
        with transaction.atomic():
            send_password_reset.enqueue(email="alice@example.com", language="en", host="localhost", https=True)
            is_wanted = rolled_back == {rolled_back} or (committed + rolled_back) % 11 < 10
            transaction.set_rollback(not is_wanted)
    except OperationalError:  # while the database restarts
        connection.close()
    else:
        committed, rolled_back = committed + is_wanted, rolled_back + (not is_wanted)
"""


class Tasks(Deployed):
    """A stack whose tasks send mails to a server of its own."""

    def __init__(self, stack: Stack) -> None:
        (stack.checkout / "mail.py").write_text(mail_server.SCRIPT)
        stack.configure(SETTINGS)
        stack.overlay("mail.yml", mail_server.SERVICE)
        super().__init__(stack)
        stack.make("prod-scale", f"WORKER={WORKERS}")

    def count_mails(self) -> Counter[str]:
        """Return how often each task has sent its mail."""
        # Threads of the mail server may print on one line.
        log = self.stack.run("docker", "logs", self.stack.container("mail"))
        return Counter(re.findall(r"Message-ID: <([^@]+)@", log))

    def count_recipients(self) -> Counter[str]:
        """Return how many mails each person of a campaign got."""
        log = self.stack.run("docker", "logs", self.stack.container("mail"))
        return Counter(re.findall(r"To: (p[0-9]+)@", log))

    def run_shell(self, code: str) -> subprocess.Popen[bytes]:
        command = ["docker", "compose", "exec", "-T", "web", "python", "manage.py", "shell", "-v0", "-c", code]
        return subprocess.Popen(command, cwd=self.stack.checkout, env=self.stack.environment)

    def count_open(self) -> int:
        return int(self.sql("SELECT count(*) FROM tasks_task WHERE state IN ('queued', 'running')"))

    def wait_until_done(self, limit: float) -> float:
        return seconds_until(lambda: self.count_open() == 0, limit)

    @contextmanager
    def enqueue(self, committed: int, rolled_back: int = 0) -> Iterator[None]:
        """Enqueue within the block, which ends when all are."""
        code = ENQUEUE.format(committed=committed, rolled_back=rolled_back)
        # Not in web, which a deploy replaces.
        command = [
            "docker",
            "compose",
            "run",
            "--rm",
            "--no-deps",
            "-T",
            "celery-beat",
            "python",
            "manage.py",
            "shell",
            "-v0",
            "-c",
        ]
        with subprocess.Popen([*command, code], cwd=self.stack.checkout, env=self.stack.environment) as process:
            yield
        assert process.returncode == 0

    def signal_child(self, container: str, name: str) -> None:
        """Send the signal to the process that the watchdog watches."""
        docker("exec", container, "sh", "-c", f"kill -{name} {CHILD}")

    def restarts(self, container: str) -> int:
        return int(docker("inspect", "--format", "{{.RestartCount}}", container))
