"""Finds changes of an OpenAPI schema that break existing clients.

Requests may become less strict but not stricter; responses may gain fields but not lose them.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

Schema = dict[str, Any]
UPPER_LIMITS = ("maxLength", "maximum", "maxItems")
LOWER_LIMITS = ("minLength", "minimum", "minItems")
METHODS = ("get", "post", "put", "patch", "delete")


class Changes:
    """Compares two documents; each change is a sentence that starts with its place."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self.old, self.new = old, new

    def find_breaking(self) -> list[str]:
        return list(dict.fromkeys(chain.from_iterable(self.compare_path(path) for path in self.old["paths"])))

    def compare_path(self, path: str) -> Iterator[str]:
        for method in METHODS:
            before = self.old["paths"][path].get(method)
            after = self.new["paths"].get(path, {}).get(method)
            place = f"{method.upper()} {path}"
            if before and not after:
                yield f"{place} was removed"
            elif before:
                yield from self.compare_operation(place, before, after)

    def compare_operation(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        yield from self.compare_parameters(place, before, after)
        yield from self.compare_body(place, before, after)
        for status, response in before["responses"].items():
            if status not in after["responses"]:
                yield f"{place} no longer returns {status}"
                continue
            old, new = get_content(self.old, response), get_content(self.new, after["responses"][status])
            for kind in old:
                if kind not in new:
                    yield f"{place} no longer returns {kind}"
                else:
                    yield from self.compare_response(f"{place} {status}", old[kind], new[kind])

    def compare_parameters(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = ({(one["in"], one["name"]): one for one in side.get("parameters", [])} for side in (before, after))
        for key in old.keys() - new.keys():
            yield f"{place}: the parameter {key[1]} was removed"
        for key, parameter in new.items():
            if parameter.get("required") and not old.get(key, {}).get("required"):
                yield f"{place}: the parameter {key[1]} is now required"
            if key in old:
                yield from self.compare_request(f"{place}: {key[1]}", old[key]["schema"], parameter["schema"])

    def compare_body(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = (side.get("requestBody", {}).get("content", {}) for side in (before, after))
        for kind in old:
            if kind not in new:
                yield f"{place} no longer accepts {kind}"
            else:
                yield from self.compare_request(place, old[kind]["schema"], new[kind]["schema"])

    def compare_request(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = merge_parts(self.old, before), merge_parts(self.new, after)
        yield from find_restrictions(place, old, new)
        for name in new.get("required", []):
            if name not in old.get("required", []):
                yield f"{place}: {name} is now required"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{place}: {name} is no longer accepted"
            else:
                yield from self.compare_request(f"{place}: {name}", schema, new["properties"][name])
        if "items" in old and "items" in new:
            yield from self.compare_request(f"{place}: each", old["items"], new["items"])

    def compare_response(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = merge_parts(self.old, before), merge_parts(self.new, after)
        if added := get_types(new) - get_types(old):
            yield f"{place} can now be {' or '.join(sorted(added))}"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{place}: {name} was removed"
                continue
            if name in old.get("required", []) and name not in new.get("required", []):
                yield f"{place}: {name} may now be missing"
            yield from self.compare_response(f"{place}: {name}", schema, new["properties"][name])
        if "items" in old and "items" in new:
            yield from self.compare_response(f"{place}: each", old["items"], new["items"])


def find_restrictions(place: str, old: Schema, new: Schema) -> Iterator[str]:
    if lost := get_types(old) - get_types(new):
        yield f"{place} can no longer be {' or '.join(sorted(lost))}"
    values = [value for value in old.get("enum", ["any other"]) if value not in new.get("enum", [value])]
    if values:
        yield f"{place} can no longer be {' or '.join(map(str, values))}"
    for limits, sign in ((UPPER_LIMITS, 1), (LOWER_LIMITS, -1)):
        for limit in limits:
            if limit in new and (limit not in old or sign * new[limit] < sign * old[limit]):
                yield f"{place}: {limit} is now {new[limit]}"
    for rule in ("pattern", "format"):
        if rule in new and new[rule] != old.get(rule):
            yield f"{place}: {rule} is now {new[rule]}"


def get_types(schema: Schema) -> set[str]:
    names = schema.get("type", [])
    return {names} if isinstance(names, str) else set(names)


def get_content(document: Schema, response: Schema) -> dict[str, Schema]:
    return {kind: one["schema"] for kind, one in follow_reference(document, response).get("content", {}).items()}


def merge_parts(document: Schema, schema: Schema) -> Schema:
    """Return the schema with the types and values of its `allOf`, `oneOf` and `anyOf` merged."""
    schema = follow_reference(document, schema)
    parts = [merge_parts(document, part) for kind in ("allOf", "oneOf", "anyOf") for part in schema.get(kind, [])]
    whole: Schema = {}
    for part in (*parts, schema):
        values = [*whole.get("enum", []), *part.get("enum", [])]
        kinds = sorted(get_types(whole) | get_types(part))
        whole = whole | part | ({"enum": values} if values else {}) | ({"type": kinds} if kinds else {})
    return whole


def follow_reference(document: Schema, schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target = document
    for key in schema["$ref"].removeprefix("#/").split("/"):
        target = target[key]
    return target
