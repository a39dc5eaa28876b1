"""Walks the admin in a browser, as an administrator would, and gathers what the Content Security Policy refused.

It finds the pages by the admin's own links, so that a new model is walked without a line here. What it makes on its
way is marked, and deleted at the end.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
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
    """What was seen: each document that the browser loaded, each kind of widget used, each violation."""

    documents: list[str] = field(default_factory=list)
    widgets: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        used = ", ".join(f"{count} {name}" for name, count in sorted(self.widgets.items()))
        addresses = len(set(self.documents))
        pages = f"{len(self.documents)} pages of {addresses} addresses walked"
        return f"{pages}, {len(self.violations)} violations; used {used}"


def walk(page: Page, base_url: str, email: str, password: str, more: Iterable[str] = ()) -> Walk:
    """Walks every page of the admin at base_url, and the further addresses in `more`, which no page links to.

    The page must be of a context of its own: it is logged in and out, and has no cookies afterwards.
    """
    seen = Walk()
    record(page, seen)
    for address in ("/reset/nobody/none/", "/reset/done/", "/admin/password_reset/done/", "/nothing/", *more):
        visit(page, address if ":" in address else f"{base_url}{address}")
    walk_password_reset(page, base_url)
    log_in(page, base_url, email, password)
    models = list(walk_index(page, base_url))
    for model in models:
        walk_model(page, model, seen.widgets)
    for model in models:
        delete_marked(page, model)
    walk_account(page, base_url)
    return seen


def record(page: Page, seen: Walk) -> None:
    """Notes what every page of the context, popups included, loads and is refused."""

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


def visit(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def submit(page: Page, selector: str) -> None:
    """Clicks what sends a form; the browser's own checks are off, so that the server's are seen."""
    page.evaluate("() => document.querySelectorAll('form').forEach(form => { form.noValidate = true })")
    with page.expect_navigation():
        page.locator(selector).first.click()
    settle(page)


def addresses(page: Page, selector: str) -> list[str]:
    found: list[str] = page.locator(selector).evaluate_all("links => links.map(link => link.href)")
    return list(dict.fromkeys(found))


def walk_password_reset(page: Page, base_url: str) -> None:
    visit(page, f"{base_url}/admin/password_reset/")
    submit(page, "input[type=submit]")
    page.locator("input[name=email]").fill(f"{MARK}@example.com")
    submit(page, "input[type=submit]")


def log_in(page: Page, base_url: str, email: str, password: str) -> None:
    visit(page, f"{base_url}/admin/")
    for attempt in ("wrong", password):
        page.locator("input[name=username]").fill(email)
        page.locator("input[name=password]").fill(attempt)
        submit(page, "input[type=submit]")
    expect(page).to_have_url(f"{base_url}/admin/")


def walk_index(page: Page, base_url: str) -> Iterator[str]:
    """Visits the index and each application's page; yields the list page of each model."""
    visit(page, f"{base_url}/admin/")
    page.locator(".theme-toggle").first.click()
    models = addresses(page, "#content-main th a")
    assert models, "The index shows no model: is this person an administrator?"
    for application in addresses(page, "#content-main caption a"):
        visit(page, application)
    yield from models


def walk_model(page: Page, model: str, used: Counter[str]) -> None:
    walk_lists(page, model, used)
    walk_delete_action(page, model, used)
    visit(page, model)
    rows = addresses(page, "#result_list tbody th a")
    walk_new_row(page, f"{model}add/", used)
    if rows:
        walk_row(page, rows[0], used)


def walk_lists(page: Page, model: str, used: Counter[str]) -> None:
    visit(page, model)
    filters = addresses(page, "#changelist-filter a")
    used["filter"] += len(filters)
    sorted_lists = addresses(page, "#result_list thead a")
    other = addresses(page, ".paginator a, .toplinks a")
    for address in (*filters, *sorted_lists, *other, f"{model}?q=a", f"{model}?e=1", f"{model}?_popup=1"):
        visit(page, address)


def walk_delete_action(page: Page, model: str, used: Counter[str]) -> None:
    """Asks to delete a row, and goes away from the confirmation."""
    visit(page, model)
    if page.locator(DELETE_ACTION).count() == 0:
        return
    page.locator("#action-toggle").check()
    page.locator("#action-toggle").uncheck()
    page.locator(".action-select").first.check()
    submit(page, "button[name=index]")  # without an action chosen: a message says so
    page.locator(".action-select").first.check()
    page.locator("select[name=action]").select_option("delete_selected")
    submit(page, "button[name=index]")
    used["action"] += 1


def walk_new_row(page: Page, address: str, used: Counter[str]) -> None:
    """The form's errors, all its widgets, a saved row with its history, and the deletion."""
    visit(page, address)
    submit(page, "input[name=_save]")
    assert "add/" in page.url, f"{address} saves an empty form"
    use_widgets(page, used)
    fill_required(page)
    if page.locator("input[name=_continue]").count() == 0:
        walk_new_token(page)
        return
    submit(page, "input[name=_continue]")
    expect(page.locator(".messagelist .success")).to_be_visible()
    row = page.url
    visit(page, addresses(page, "a.historylink")[0])
    visit(page, row)
    submit(page, "a.deletelink")
    submit(page, "#content input[type=submit]")


def walk_new_token(page: Page) -> None:
    """It is shown once, in the place of its form; then its row can only be deleted."""
    page.locator("input[name=scopes]").first.check()
    submit(page, "input[name=_save]")
    expect(page.locator("#token")).to_be_visible()
    submit(page, "#content-main a")
    visit(page, addresses(page, "#result_list tbody th a")[0])
    submit(page, "a.deletelink")
    submit(page, "#content input[type=submit]")


def walk_row(page: Page, address: str, used: Counter[str]) -> None:
    visit(page, address)
    linked = addresses(page, "#content-main .object-tools a, a.deletelink, #content-main form a[href$='password/']")
    use_widgets(page, used)
    for link in linked:
        visit(page, link)


def delete_marked(page: Page, model: str) -> None:
    """What was saved in popups stays until nothing points to it."""
    visit(page, f"{model}?q={MARK}")
    if page.locator("#searchbar").count() == 0 or page.locator("#result_list").count() == 0:
        return
    if page.locator(DELETE_ACTION).count() == 0:
        for row in addresses(page, "#result_list tbody th a"):
            visit(page, row)
            submit(page, "a.deletelink")
            submit(page, "#content input[type=submit]")
        return
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("delete_selected")
    submit(page, "button[name=index]")
    submit(page, "#content input[type=submit]")


def walk_account(page: Page, base_url: str) -> None:
    """The person's own pages, pages of errors, and the way out."""
    visit(page, f"{base_url}/admin/capture/")
    submit(page, ".language-switch button[lang=de]")
    submit(page, ".language-switch button[lang=en]")
    visit(page, f"{base_url}/api/v1/docs/")
    visit(page, f"{base_url}/admin/password_change/")
    submit(page, "#content input[type=submit]")
    for address in ("/admin/password_change/done/", "/admin/nothing/", "/media/nothing", "/admin/customers/nothing/"):
        visit(page, f"{base_url}{address}")
    visit(page, f"{base_url}/admin/")
    submit(page, "#logout-form button")
    visit(page, f"{base_url}/admin/login/")
    page.context.clear_cookies()
    page.locator("input[name=username]").fill(MARK)
    page.locator("input[name=password]").fill(MARK)
    submit(page, "input[type=submit]")  # refused: the cookie of the form's protection is gone
