import pytest
from django.utils.translation import override
from django.views import defaults


@pytest.mark.parametrize(
    ("view", "arguments", "status", "heading"),
    [
        (defaults.bad_request, [ValueError()], 400, "Die Anfrage wurde nicht verstanden"),
        (defaults.permission_denied, [ValueError()], 403, "Sie haben keine Berechtigung"),
        (defaults.page_not_found, [ValueError()], 404, "Seite nicht gefunden"),
        (defaults.server_error, [], 500, "Serverfehler"),
    ],
)
def test_error_page_is_in_the_language_of_the_person(view, arguments, status, heading, rf):
    with override("de"):
        response = view(rf.get("/"), *arguments)

    text = response.content.decode()
    assert (response.status_code, text.count(f"<h1>{heading}</h1>"), text.count('lang="de"')) == (status, 1, 1)
