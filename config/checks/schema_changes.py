"""What of a changed OpenAPI schema breaks a program that was written for the one before.

What is sent may be taken less strictly and never more; what comes back may hold more and never less.
"""

from collections.abc import Iterator
from itertools import chain
from typing import Any

Schema = dict[str, Any]
NARROWER_BELOW = ("maxLength", "maximum", "maxItems")  # where a lower number allows less
NARROWER_ABOVE = ("minLength", "minimum", "minItems")
METHODS = ("get", "post", "put", "patch", "delete")


class Changes:
    """Between two documents; each change is a sentence that begins with its place."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self.old, self.new = old, new

    def breaking(self) -> list[str]:
        return list(dict.fromkeys(chain.from_iterable(self.of_path(path) for path in self.old["paths"])))

    def of_path(self, path: str) -> Iterator[str]:
        for method in METHODS:
            before = self.old["paths"][path].get(method)
            after = self.new["paths"].get(path, {}).get(method)
            place = f"{method.upper()} {path}"
            if before and not after:
                yield f"{place} is gone"
            elif before:
                yield from self.of_operation(place, before, after)

    def of_operation(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        yield from self.of_parameters(place, before, after)
        yield from self.of_body(place, before, after)
        for status, response in before["responses"].items():
            if status not in after["responses"]:
                yield f"{place} does not answer {status} any more"
                continue
            old, new = content(self.old, response), content(self.new, after["responses"][status])
            for kind in old:
                if kind not in new:
                    yield f"{place} does not answer {kind} any more"
                else:
                    yield from self.of_answer(f"{place} {status}", old[kind], new[kind])

    def of_parameters(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = ({(one["in"], one["name"]): one for one in side.get("parameters", [])} for side in (before, after))
        for key in old.keys() - new.keys():
            yield f"{place}: the parameter {key[1]} is gone"
        for key, parameter in new.items():
            if parameter.get("required") and not old.get(key, {}).get("required"):
                yield f"{place}: the parameter {key[1]} is needed now"
            if key in old:
                yield from self.of_request(f"{place}: {key[1]}", old[key]["schema"], parameter["schema"])

    def of_body(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = (side.get("requestBody", {}).get("content", {}) for side in (before, after))
        for kind in old:
            if kind not in new:
                yield f"{place} does not take {kind} any more"
            else:
                yield from self.of_request(place, old[kind]["schema"], new[kind]["schema"])

    def of_request(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = resolved(self.old, before), resolved(self.new, after)
        yield from narrowed(place, old, new)
        for name in new.get("required", []):
            if name not in old.get("required", []):
                yield f"{place}: {name} is needed now"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{place}: {name} cannot be sent any more"
            else:
                yield from self.of_request(f"{place}: {name}", schema, new["properties"][name])
        if "items" in old and "items" in new:
            yield from self.of_request(f"{place}: each", old["items"], new["items"])

    def of_answer(self, place: str, before: Schema, after: Schema) -> Iterator[str]:
        old, new = resolved(self.old, before), resolved(self.new, after)
        if added := types(new) - types(old):
            yield f"{place} can be {' or '.join(sorted(added))} now"
        for name, schema in old.get("properties", {}).items():
            if name not in new.get("properties", {}):
                yield f"{place}: {name} is gone"
                continue
            if name in old.get("required", []) and name not in new.get("required", []):
                yield f"{place}: {name} may be missing now"
            yield from self.of_answer(f"{place}: {name}", schema, new["properties"][name])
        if "items" in old and "items" in new:
            yield from self.of_answer(f"{place}: each", old["items"], new["items"])


def narrowed(place: str, old: Schema, new: Schema) -> Iterator[str]:
    if lost := types(old) - types(new):
        yield f"{place} cannot be {' or '.join(sorted(lost))} any more"
    values = [value for value in old.get("enum", ["any other"]) if value not in new.get("enum", [value])]
    if values:
        yield f"{place} cannot be {' or '.join(map(str, values))} any more"
    for limits, sign in ((NARROWER_BELOW, 1), (NARROWER_ABOVE, -1)):
        for limit in limits:
            if limit in new and (limit not in old or sign * new[limit] < sign * old[limit]):
                yield f"{place}: {limit} is {new[limit]} now"
    for rule in ("pattern", "format"):
        if rule in new and new[rule] != old.get(rule):
            yield f"{place}: {rule} is {new[rule]} now"


def types(schema: Schema) -> set[str]:
    named = schema.get("type", [])
    return {named} if isinstance(named, str) else set(named)


def content(document: Schema, response: Schema) -> dict[str, Schema]:
    return {kind: one["schema"] for kind, one in pointed_to(document, response).get("content", {}).items()}


def resolved(document: Schema, schema: Schema) -> Schema:
    """With the parts of `allOf`, `oneOf` and `anyOf` in one: their types and values together."""
    schema = pointed_to(document, schema)
    parts = [resolved(document, part) for kind in ("allOf", "oneOf", "anyOf") for part in schema.get(kind, [])]
    whole: Schema = {}
    for part in (*parts, schema):
        values = [*whole.get("enum", []), *part.get("enum", [])]
        kinds = sorted(types(whole) | types(part))
        whole = whole | part | ({"enum": values} if values else {}) | ({"type": kinds} if kinds else {})
    return whole


def pointed_to(document: Schema, thing: Schema) -> Schema:
    found: Schema = thing
    if "$ref" in thing:
        found = document
        for step in thing["$ref"].removeprefix("#/").split("/"):
            found = found[step]
    return found
