"""What the schema says of every operation: its conditions, its refusals, the scope that it takes."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from core_apps.api import idempotency
from core_apps.api.access import SCOPES
from core_apps.api.problems import MEDIA_TYPE
from core_apps.api.views import FIELDS, ResourceViewSet

PROBLEM = {"$ref": "#/components/responses/Problem"}
TEXT: dict[str, Any] = {"type": "string"}

# By method; 404 where the address names a row.
ALWAYS = ("400", "401", "403", "406", "429", "503")
REFUSALS = {
    "post": ("409", "410", "413", "415", "422"),
    "put": ("409", "412", "413", "415"),
    "patch": ("409", "412", "413", "415"),
    "delete": ("409", "412"),
}
TITLES = {"Retry-After": "Seconds after which the same request may do better.", "ETag": "The version of what is sent."}

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {**TEXT, "format": "uri-reference"},
        "title": {**TEXT, "description": "The status in words."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**TEXT, "description": "What is wrong, and what to do."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
    "additionalProperties": False,
}
FIELD_ERROR_SCHEMA = {
    "type": "object",
    "required": ["field", "code", "detail"],
    "properties": {
        "field": {"type": ["string", "null"], "description": "Null where several fields or none is at fault."},
        "code": TEXT,
        "detail": TEXT,
    },
    "additionalProperties": False,
}


class ApiSchema(AutoSchema):
    def get_tags(self) -> list[str]:
        """The part of the address behind the version."""
        return [self.path.removeprefix("/api/v1/").partition("/")[0]]

    def get_override_parameters(self) -> list[Any]:
        return [*super().get_override_parameters(), *self.conditions()] if self.is_resource() else []

    def is_resource(self) -> bool:
        return isinstance(self.view, ResourceViewSet)

    def conditions(self) -> list[OpenApiParameter]:
        if self.method == "DELETE":
            return [header("If-Match", "The ETag of the row as you read it, or *.")]
        view: Any = self.view
        offered = {"type": "string", "enum": list(view.get_serializer().fields)}
        names = {"type": "array", "minItems": 1, "items": offered}
        text = "Names of fields, with commas between: all others are left out."
        fields = OpenApiParameter(FIELDS, names, description=text, explode=False)
        given = {
            "GET": header("If-None-Match", "An ETag that you have: 304 where it still holds."),
            "PATCH": header("If-Match", "The ETag of the row as you read it, or *: 412 where it has changed since."),
            "POST": header(idempotency.HEADER, "A name of this request's own: sent again, it makes nothing again."),
        }
        return [fields, given[self.method]]

    def get_auth(self) -> list[Any]:
        """A token's scope stands where OpenAPI 3.1 has the roles that are required."""
        scope = str((getattr(self.view, "scope_names", None) or SCOPES)[self.method])
        return [
            {name: [scope] if name == "tokenAuth" else roles for name, roles in one.items()}
            for one in super().get_auth()
        ]


def header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


def describe_problems(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """A POSTPROCESSING_HOOK: every operation with all its refusals."""
    components = result.setdefault("components", {})
    components["schemas"] |= {"Problem": PROBLEM_SCHEMA, "FieldError": FIELD_ERROR_SCHEMA}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described = {"description": "Refused; the body says why.", "content": content}
    components["responses"] = {"Problem": described | {"headers": headers("Retry-After")}}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            refused = (*ALWAYS, *REFUSALS.get(method, ()), *(("404",) if "{" in path else ()))
            operation["responses"] |= dict.fromkeys(sorted(refused), PROBLEM)
            describe_success(method, operation["responses"])
    return result


def describe_success(method: str, responses: dict[str, Any]) -> None:
    for status in ("200", "201"):
        if status in responses and "application/json" in responses[status].get("content", {}):
            responses[status]["headers"] = headers("ETag")
            if method == "get":
                responses["304"] = {"description": "What you have still holds."}


def headers(*names: str) -> dict[str, Any]:
    return {name: {"description": TITLES[name], "schema": TEXT} for name in names}


def close_requests(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """A POSTPROCESSING_HOOK: a field that no serializer knows is refused, so the schema has no room for it."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return result


def loosen_answers(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """A POSTPROCESSING_HOOK: `fields` may leave out whatever a row has."""
    for schema in result["components"]["schemas"].values():
        if schema.get("properties", {}).get("id", {}).get("readOnly"):
            schema.pop("required", None)
    return result
