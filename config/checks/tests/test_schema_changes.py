"""What counts as a break of the API, one change at a time."""

import copy
from typing import Any

import pytest

from config.checks.schema_changes import Changes

SCHEMA = {
    "paths": {
        "/tags/": {
            "get": {
                "parameters": [{"in": "query", "name": "search", "schema": {"type": "string", "maxLength": 200}}],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/Tag"}}}
                        }
                    }
                },
            },
            "post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/NewTag"}}}},
                "responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/Tag"}}}}},
            },
        }
    },
    "components": {
        "Tag": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string"}, "kind": {"oneOf": [{"$ref": "#/components/Kind"}]}},
        },
        "NewTag": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string"},
                "kind": {"oneOf": [{"$ref": "#/components/Kind"}, {"type": "null"}]},
                "words": {"type": "array", "items": {"type": "string"}},
            },
        },
        "Kind": {"type": "string", "enum": ["hot", "cold"]},
    },
}
GET, POST = "paths /tags/ get", "paths /tags/ post"
NEW = "components NewTag properties"


def changed(place, value):
    """The schema with something else at that place; None takes away what is there."""
    schema = copy.deepcopy(SCHEMA)
    *steps, last = place.split()
    inner: Any = schema
    for step in steps:
        inner = inner[int(step) if isinstance(inner, list) else step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return schema


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        (POST, None, "POST /tags/ is gone"),
        ("paths /tags/", None, "GET /tags/ is gone"),
        (f"{GET} parameters", [], "GET /tags/: the parameter search is gone"),
        (f"{GET} parameters 0 required", True, "GET /tags/: the parameter search is needed now"),
        (f"{GET} parameters 0 schema maxLength", 100, "GET /tags/: search: maxLength is 100 now"),
        (f"{GET} parameters 0 schema minLength", 2, "GET /tags/: search: minLength is 2 now"),
        (f"{GET} parameters 0 schema enum", ["a"], "GET /tags/: search cannot be any other any more"),
        (f"{GET} responses 200", None, "GET /tags/ does not answer 200 any more"),
        (f"{GET} responses 200 content application/json", None, "GET /tags/ does not answer application/json any more"),
        (f"{POST} requestBody content application/json", None, "POST /tags/ does not take application/json any more"),
        (f"{NEW} kind", None, "POST /tags/: kind cannot be sent any more"),
        (f"{NEW} name type", "integer", "POST /tags/: name cannot be string any more"),
        (f"{NEW} name pattern", "^a", "POST /tags/: name: pattern is ^a now"),
        (f"{NEW} kind oneOf", [{"$ref": "#/components/Kind"}], "POST /tags/: kind cannot be null any more"),
        (f"{NEW} words items maxLength", 3, "POST /tags/: words: each: maxLength is 3 now"),
        ("components NewTag required", ["name", "kind"], "POST /tags/: kind is needed now"),
        ("components Kind enum", ["hot"], "POST /tags/: kind cannot be cold any more"),
        ("components Tag properties name", None, "GET /tags/ 200: each: name is gone"),
        ("components Tag properties name type", ["string", "null"], "GET /tags/ 200: each: name can be null now"),
        ("components Tag required", [], "POST /tags/ 201: name may be missing now"),
    ],
)
def test_change_that_breaks_a_program_is_told(place, value, sentence):
    assert sentence in Changes(SCHEMA, changed(place, value)).breaking()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("paths /more/", {"get": {"responses": {}}}),
        ("paths /tags/ delete", {"responses": {}}),
        (f"{GET} parameters 0 schema maxLength", 300),
        (f"{GET} parameters 0 schema maxLength", None),
        (f"{NEW} more", {"type": "string"}),
        (f"{NEW} name type", ["string", "null"]),
        ("components NewTag required", []),
        ("components Tag properties more", {"type": "string"}),
        ("components Kind enum", ["hot", "cold", "warm"]),
        (f"{GET} responses 429", {"content": {}}),
    ],
)
def test_change_that_breaks_nothing_is_not_told(place, value):
    assert Changes(SCHEMA, changed(place, value)).breaking() == []
