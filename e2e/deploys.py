"""A prod tier that is deployed to: versions are commits of its checkout, and visitors never stop asking."""

import itertools
import re
import shlex

from e2e.load import Load, Request
from e2e.stack import ADMINISTRATOR, PASSWORD, Site, Stack, ask

GIT = ["git", "-c", "user.name=e2e", "-c", "user.email=e2e@localhost"]
STYLE = "customers/static/customers/e2e.css"
NAMES = "import json; print(json.load(open('/app/staticfiles/staticfiles.json'))['paths']['customers/e2e.css'])"
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

    def back(self) -> None:
        """To the commit before."""
        self.stack.run("git", "reset", "--quiet", "--hard", "HEAD~1")

    @property
    def version(self) -> str:
        """The one that serves, as the env file has it."""
        return re.findall(r"^VERSION=(.+)$", (self.stack.checkout / ".envs/.env.production").read_text(), re.M)[-1]

    def web(self) -> list[str]:
        return self.stack.containers("web")

    def style(self) -> str:
        """The path of the style sheet, under the name that the running version has for it."""
        return f"/static/{self.stack.within('web', 'python', '-c', NAMES).strip()}"

    def load(self, rate: int, *, count: int | None = None, more: list[Request] | None = None) -> Load:
        """Of 20 requests 1 is a POST that writes, and the others are pages, redirects and files."""
        page = [Request("GET", "/admin/login/", 200), Request("GET", "/", 302), Request("GET", self.style(), 200)]
        requests = [self.creation, *page * 3, *(more or []), *page * 3][:20]
        return Load(self.site, requests, rate, count=count, clients=24)

    def creation(self, number: int) -> Request:
        """A customer whose name is the request's number."""
        form = (
            f"csrfmiddlewaretoken={self.session['token']}&given_name=Load&family_name={number}&stage=lead&source=stand"
        )
        form += "&visits-TOTAL_FORMS=0&visits-INITIAL_FORMS=0"
        return Request("POST", "/admin/customers/customer/add/", 302, form_headers(self.session), form)

    def created(self) -> list[int]:
        """The numbers of the customers that are in the database, in order."""
        shell = f"python manage.py shell --no-imports -c {shlex.quote(COUNT)}"
        return sorted(map(int, re.findall(r"\d+", self.stack.within("web", "sh", "-c", shell))))


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
