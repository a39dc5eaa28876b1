"""Tests which changes break API clients, one at a time."""

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


def change_schema(place, value):
    """Return the schema with another value at that place; None removes the place."""
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
        (POST, None, "POST /tags/ was removed"),
        ("paths /tags/", None, "GET /tags/ was removed"),
        (f"{GET} parameters", [], "GET /tags/: the parameter search was removed"),
        (f"{GET} parameters 0 required", True, "GET /tags/: the parameter search is now required"),
        (f"{GET} parameters 0 schema maxLength", 100, "GET /tags/: search: maxLength is now 100"),
        (f"{GET} parameters 0 schema minLength", 2, "GET /tags/: search: minLength is now 2"),
        (f"{GET} parameters 0 schema enum", ["a"], "GET /tags/: search can no longer be any other"),
        (f"{GET} responses 200", None, "GET /tags/ no longer returns 200"),
        (f"{GET} responses 200 content application/json", None, "GET /tags/ no longer returns application/json"),
        (f"{POST} requestBody content application/json", None, "POST /tags/ no longer accepts application/json"),
        (f"{NEW} kind", None, "POST /tags/: kind is no longer accepted"),
        (f"{NEW} name type", "integer", "POST /tags/: name can no longer be string"),
        (f"{NEW} name pattern", "^a", "POST /tags/: name: pattern is now ^a"),
        (f"{NEW} kind oneOf", [{"$ref": "#/components/Kind"}], "POST /tags/: kind can no longer be null"),
        (f"{NEW} words items maxLength", 3, "POST /tags/: words: each: maxLength is now 3"),
        ("components NewTag required", ["name", "kind"], "POST /tags/: kind is now required"),
        ("components Kind enum", ["hot"], "POST /tags/: kind can no longer be cold"),
        ("components Tag properties name", None, "GET /tags/ 200: each: name was removed"),
        ("components Tag properties name type", ["string", "null"], "GET /tags/ 200: each: name can now be null"),
        ("components Tag required", [], "POST /tags/ 201: name may now be missing"),
    ],
)
def test_breaking_change_is_reported(place, value, sentence):
    assert sentence in Changes(SCHEMA, change_schema(place, value)).find_breaking()


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
def test_compatible_change_is_not_reported(place, value):
    assert Changes(SCHEMA, change_schema(place, value)).find_breaking() == []
