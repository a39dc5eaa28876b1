"""The application's part in a drill: `python -m config.drill DIRECTORY` sleeps until a file there asks for its proof.

Then it boots on the database that the file names, as a server would, and does what a person does first. It has no
network but its own loopback, and none of the secrets of the site: whatever it is given stays in this container.
"""

import http.client
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

POLL = 1.0  # seconds
HEARTBEAT = Path("/tmp/heartbeat")  # noqa: S108 - the container's own
BOOT_SECONDS = 60
HOST, PORT = "127.0.0.1", 8000
# The list that is opened, archived rows too, and the table whose rows it counts: «1,234 customers», «10,000+ customers»
PAGE, TABLE = "/admin/customers/customer/?archived=all", "customers_customer"
COUNT = re.compile(r"([0-9,]+)(\+?) customers?\b")


class FailedError(Exception):
    """What did not work, in one line."""


def main(directory: Path) -> None:
    request, accepted, answer = (directory / f"{name}.json" for name in ("request", "accepted", "answer"))
    while True:
        HEARTBEAT.touch()
        try:
            request.rename(accepted)  # which tells that somebody is here
        except FileNotFoundError:
            time.sleep(POLL)
            continue
        asked = json.loads(accepted.read_text())
        partial = answer.with_suffix(".partial")
        partial.write_text(json.dumps({"mark": asked["mark"], **answer_to(asked)}))
        partial.replace(answer)


def answer_to(request: dict[str, str]) -> dict[str, Any]:
    try:
        return proof(request)
    except (FailedError, OSError, http.client.HTTPException) as error:
        return {"error": str(error) or type(error).__name__}


def proof(request: dict[str, str]) -> dict[str, Any]:
    environment = environment_of(request)
    manage("migrate", "--noinput", environment=environment)
    person = {"email": f"drill-{secrets.token_hex(8)}@localhost.test", "password": secrets.token_urlsafe(24)}
    given = {f"DJANGO_SUPERUSER_{name.upper()}": value for name, value in person.items()}
    manage("createsuperuser", "--noinput", environment=environment | given)
    files = json.loads(manage("missing_files", environment=environment))
    if missing := files["missing"]:
        raise FailedError(f"{len(missing)} files that rows name are missing, the first is {missing[0]}")
    with server(environment):
        count, is_exact = customers_seen_by(person)
    return {"rows" if is_exact else "at_least": {TABLE: count}, "files": files["named"]}


def environment_of(request: dict[str, str]) -> dict[str, str]:
    """Keys of its own, and no cache: the site works without."""
    return os.environ | {
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "localhost",
        "DATABASE_URL": request["database_url"],
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "MEDIA_ROOT": request["media"],
        "MEDIA_ACCEL_URL": "",
        "WEB_HOST": HOST,
        "PORT": str(PORT),
        "WEB_CONCURRENCY": "1",
        "FORWARDED_ALLOW_IPS": HOST,
    }


def manage(*arguments: str, environment: dict[str, str]) -> str:
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise FailedError(f"manage.py {arguments[0]} ended with {done.returncode}: {said[-1]}")
    return done.stdout


@contextmanager
def server(environment: dict[str, str]) -> Iterator[None]:
    """Gunicorn as it serves visitors, ready."""
    command = ["gunicorn", "config.wsgi:application", "--config", "config/gunicorn.py"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + BOOT_SECONDS
        while (status := readiness()) != http.client.OK:
            if process.poll() is not None or time.monotonic() > deadline:
                raise FailedError(
                    f"Gunicorn is not ready: {status or 'no answer'}; `docker compose logs drill` tells why"
                )
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait()


def readiness() -> int:
    try:
        return ask("GET", "/api/v1/ready/")[0]
    except OSError:
        return 0


def customers_seen_by(person: dict[str, str]) -> tuple[int, bool]:
    """Log in by the form, open the list, and return how many it tells of, and whether these are all."""
    login = "/admin/login/"
    _, cookies, _ = ask("GET", login)
    token = cookies.get("csrftoken", "")
    form = {"csrfmiddlewaretoken": token, "username": person["email"], "password": person["password"], "next": PAGE}
    status, cookies, _ = ask("POST", login, f"csrftoken={token}", form)
    if status != http.client.FOUND or "sessionid" not in cookies:
        raise FailedError(f"the login answered {status}")
    status, _, page = ask("GET", PAGE, f"sessionid={cookies['sessionid']}")
    if status != http.client.OK:
        raise FailedError(f"{PAGE} answered {status}")
    return customers_told_of(page)


def customers_told_of(page: str) -> tuple[int, bool]:
    """The number, and whether there are no more."""
    found = COUNT.search(page)
    if not found:
        raise FailedError(f"{PAGE} lacks the number of customers")
    count, rows = int(found[1].replace(",", "")), len(re.findall(r'<th class="field-', page))
    if bool(count) != bool(rows):
        raise FailedError(f"{PAGE} tells of {count} customers and shows {rows}")
    return count, not found[2]


def ask(
    method: str, path: str, cookie: str = "", form: dict[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    """Status, cookies and text of the answer; asked as nginx asks for a visitor."""
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https", "Referer": "https://localhost/", "Cookie": cookie}
    body = urlencode(form) if form else None
    if body:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    with closing(http.client.HTTPConnection(HOST, PORT, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        cookies = dict(re.findall(r"^(\w+)=([^;]*)", "\n".join(response.headers.get_all("Set-Cookie") or []), re.M))
        return response.status, cookies, response.read().decode()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
