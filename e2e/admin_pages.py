"""Visits the admin as an administrator in a browser, and collects the pages and what violates their security policy.

It finds the pages by the admin's own links, so that a new model is walked without a line here. What it makes on its
way is marked, and deleted at the end.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Response, expect

from e2e.admin_forms import MARK, fill_required, settle, use_widgets

# Customers have none: they are archived.
DELETE_ACTION = "select[name=action] option[value=delete_selected]"
LISTEN = """document.addEventListener("securitypolicyviolation", event => window.policyViolation(
    `${location.href}: ${event.effectiveDirective} refused ${event.blockedURI} of line ${event.lineNumber}`
))"""


@dataclass
class Walk:
    """A browser page that goes from page to page; records the documents loaded, the widgets used and the violations."""

    page: Page
    base_url: str
    inspect: Callable[[Page], None] = lambda page: None
    documents: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    widgets: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        used = ", ".join(f"{count} {name}" for name, count in sorted(self.widgets.items()))
        addresses = len(set(self.documents))
        pages = f"{len(self.documents)} pages of {addresses} addresses walked"
        return f"{pages}, {len(self.violations)} violations; used {used}"

    def visit(self, address: str) -> None:
        self.arrive(self.page.goto(address if ":" in address else f"{self.base_url}{address}"))

    def submit(self, selector: str) -> None:
        """Submit a form without the browser's own validation, so that the server's errors are shown."""
        self.page.evaluate("() => document.querySelectorAll('form').forEach(form => { form.noValidate = true })")
        with self.page.expect_navigation() as navigation:
            self.page.locator(selector).first.click()
        self.arrive(navigation.value)

    def arrive(self, response: Response | None) -> None:
        settle(self.page)
        if response and "text/html" in response.headers.get("content-type", ""):
            self.sources[f"{len(self.sources)} {response.request.method} {response.url}"] = response.text()
        self.inspect(self.page)


def walk(seen: Walk, email: str, password: str, more: Iterable[str] = ()) -> None:
    """Walks every page of the admin, and the further addresses in `more`, which no page links to.

    The page must be of a context of its own: it is logged in and out, and has no cookies afterwards.
    """
    record(seen.page, seen)
    for address in ("/reset/nobody/none/", "/reset/done/", "/admin/password_reset/done/", "/nothing/", *more):
        seen.visit(address)
    walk_password_reset(seen)
    log_in(seen, email, password)
    models = list(walk_index(seen))
    for model in models:
        walk_model(seen, model)
    for model in models:
        delete_marked(seen, model)
    walk_account(seen)


def record(page: Page, seen: Walk) -> None:
    """Record what pages and popups of the context load, and what the policy blocks."""

    def note_message(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            seen.violations.append(f"{message.page and message.page.url}: {message.text}")

    def note_document(response: Response) -> None:
        is_page = response.request.is_navigation_request() and not 300 <= response.status < 400
        if is_page:
            seen.documents.append(f"{response.request.method} {response.url}")
        if is_page and "content-security-policy" not in response.headers:
            seen.violations.append(f"{response.url} has no policy")

    def note_violation(text: str) -> None:
        seen.violations.append(text)

    page.context.expose_function("policyViolation", note_violation)
    page.context.add_init_script(LISTEN)
    page.context.on("console", note_message)
    page.context.on("response", note_document)


def addresses(page: Page, selector: str) -> list[str]:
    found: list[str] = page.locator(selector).evaluate_all("links => links.map(link => link.href)")
    return list(dict.fromkeys(found))


def walk_password_reset(seen: Walk) -> None:
    seen.visit("/admin/password_reset/")
    seen.submit("input[type=submit]")
    seen.page.locator("input[name=email]").fill(f"{MARK}@example.com")
    seen.submit("input[type=submit]")


def log_in(seen: Walk, email: str, password: str) -> None:
    seen.visit("/admin/")
    for attempt in ("wrong", password):
        seen.page.locator("input[name=username]").fill(email)
        seen.page.locator("input[name=password]").fill(attempt)
        seen.submit("input[type=submit]")
    expect(seen.page).to_have_url(f"{seen.base_url}/admin/")


def walk_index(seen: Walk) -> Iterator[str]:
    """Visit the index and each application's page; yield the list page of each model."""
    seen.visit("/admin/")
    for _ in range(3):  # light, dark and the device's choice again
        seen.page.locator(".theme-toggle").first.click()
    models = addresses(seen.page, "#content-main th a")
    assert models, "The index shows no model: is this person an administrator?"
    for application in addresses(seen.page, "#content-main caption a"):
        seen.visit(application)
    yield from models


def walk_model(seen: Walk, model: str) -> None:
    walk_lists(seen, model)
    walk_delete_action(seen, model)
    seen.visit(model)
    rows = addresses(seen.page, "#result_list tbody th a")
    if seen.page.locator("a.addlink").count():
        add = NEW_ROWS.get(model.rstrip("/").rpartition("/")[2], walk_new_row)
        add(seen, f"{model}add/")
    if rows:
        walk_row(seen, rows[0])


def walk_lists(seen: Walk, model: str) -> None:
    seen.visit(model)
    filters = addresses(seen.page, "#changelist-filter a")
    seen.widgets["filter"] += len(filters)
    sorted_lists = addresses(seen.page, "#result_list thead a")
    other = addresses(seen.page, ".paginator a, .toplinks a, tbody tr:first-child .field-done a")
    for address in (*filters, *sorted_lists, *other, f"{model}?q=a", f"{model}?e=1", f"{model}?_popup=1"):
        seen.visit(address)


def walk_delete_action(seen: Walk, model: str) -> None:
    """Open the confirmation of a deletion, and leave it."""
    seen.visit(model)
    if seen.page.locator(DELETE_ACTION).count() == 0 or seen.page.locator("#action-toggle").count() == 0:
        return
    seen.page.locator("#action-toggle").check()
    seen.page.locator("#action-toggle").uncheck()
    seen.page.locator(".action-select").first.check()
    seen.submit("button[name=index]")  # without an action chosen: a message says so
    seen.page.locator(".action-select").first.check()
    seen.page.locator("select[name=action]").select_option("delete_selected")
    seen.submit("button[name=index]")
    seen.widgets["action"] += 1


def walk_new_row(seen: Walk, address: str) -> None:
    """Visit the form with errors, all widgets, a saved row with its history, and the deletion."""
    seen.visit(address)
    seen.submit("input[name=_save]")
    assert "add/" in seen.page.url, f"{address} saves an empty form"
    use_widgets(seen.page, seen.widgets)
    fill_required(seen.page)
    if seen.page.locator("input[name=_continue]").count() == 0:
        walk_new_token(seen)
        return
    seen.submit("input[name=_continue]")
    expect(seen.page.locator(".messagelist .success")).to_be_visible()
    row = seen.page.url
    seen.visit(addresses(seen.page, "a.historylink")[0])
    seen.visit(row)
    if seen.page.locator("a.deletelink").count() == 0:  # a row that is kept
        return
    seen.submit("a.deletelink")
    seen.submit("#content input[type=submit]")


def walk_new_token(seen: Walk) -> None:
    """The token is shown once, instead of the form; then it can only be deleted."""
    seen.page.locator("input[name=scopes]").first.check()
    seen.submit("input[name=_save]")
    expect(seen.page.locator("#token")).to_be_visible()
    seen.submit("#content-main a")
    seen.visit(addresses(seen.page, "#result_list tbody th a")[0])
    seen.submit("a.deletelink")
    seen.submit("#content input[type=submit]")


def walk_new_import(seen: Walk, address: str) -> None:
    """A file is checked, imported and reverted, each with its page; the one with the progress reloads by itself."""
    seen.visit(address)
    seen.submit("input[name=_save]")
    file = {"name": f"{MARK}.csv", "mimeType": "text/csv", "buffer": b"Name,E-Mail\nAnn Lee,nobody\n,\n"}
    seen.page.locator("input[type=file]").set_input_files(file)
    for button in ("input[name=_save]", "form[action$='/import/'] button", "form[action$='/revert/'] button"):
        with seen.page.expect_navigation():
            seen.page.locator(button).click()
        expect(seen.page.locator(".steps")).to_be_visible(timeout=60_000)
        seen.visit(seen.page.url)


def walk_new_endpoint(seen: Walk, address: str) -> None:
    """The secret is shown once, instead of the form."""
    seen.visit(address)
    seen.submit("input[name=_save]")
    seen.page.locator("input[name=name]").fill(MARK)
    seen.page.locator("input[name=url]").fill("https://[2606:2800:21f:cb07::1]/")
    seen.page.locator("input[name=events]").first.check()
    seen.submit("input[name=_save]")
    expect(seen.page.locator("#secret")).to_be_visible()
    seen.submit("#content-main a")
    seen.visit(addresses(seen.page, "#result_list tbody th a")[0])
    seen.submit("a.deletelink")
    seen.submit("#content input[type=submit]")


NEW_ROWS = {"fileimport": walk_new_import, "endpoint": walk_new_endpoint}


def walk_certificate(seen: Walk, address: str) -> None:
    """The page with the progress reloads by itself."""
    seen.visit(address)
    seen.submit("form[action$='/certificate/'] button")
    expect(seen.page.locator("#progress")).to_have_count(0, timeout=60_000)
    seen.visit(seen.page.url)


def walk_row(seen: Walk, address: str) -> None:
    seen.visit(address)
    linked = addresses(
        seen.page, "#content-main .object-tools a[href^='/'], a.deletelink, #content-main form a[href$='password/']"
    )
    use_widgets(seen.page, seen.widgets)
    for link in linked:
        seen.visit(link)
    if "/customers/visit/" in address:
        walk_certificate(seen, address)


def delete_marked(seen: Walk, model: str) -> None:
    """Rows saved in popups are deleted last, when nothing refers to them."""
    seen.visit(f"{model}?q={MARK}")
    if seen.page.locator("#searchbar").count() == 0 or seen.page.locator("#result_list").count() == 0:
        return
    if seen.page.locator(DELETE_ACTION).count() == 0:
        for row in addresses(seen.page, "#result_list tbody th a"):
            seen.visit(row)
            seen.submit("a.deletelink")
            seen.submit("#content input[type=submit]")
        return
    seen.page.locator("#action-toggle").check()
    seen.page.locator("select[name=action]").select_option("delete_selected")
    seen.submit("button[name=index]")
    seen.submit("#content input[type=submit]")


def walk_account(seen: Walk) -> None:
    """Visit the user's own pages, the error pages, and log out."""
    seen.visit("/admin/capture/")
    seen.visit("/admin/calendar/")
    seen.submit("#content input[type=submit]")
    seen.submit("#content input[name=remove]")
    seen.submit(".language-switch button[lang=de]")
    seen.submit(".language-switch button[lang=en]")
    seen.visit("/api/v1/docs/")
    seen.visit("/admin/password_change/")
    seen.submit("#content input[type=submit]")
    for address in (
        "/admin/password_change/done/",
        "/admin/settings/",
        "/admin/nothing/",
        "/media/nothing",
        "/admin/customers/nothing/",
    ):
        seen.visit(address)
    seen.visit("/admin/")
    seen.submit("#logout-form button")
    seen.visit("/admin/login/")
    seen.page.context.clear_cookies()
    seen.page.locator("input[name=username]").fill(MARK)
    seen.page.locator("input[name=password]").fill(MARK)
    seen.submit("input[type=submit]")  # refused: the cookie of the form's protection is gone
