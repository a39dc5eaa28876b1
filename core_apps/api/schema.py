"""The OpenAPI schema: conditional headers, errors and token scopes of every operation."""

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter

from core_apps.api import idempotency
from core_apps.api.access import SCOPES
from core_apps.api.problems import MEDIA_TYPE
from core_apps.api.views import FIELDS, ResourceViewSet

PROBLEM = {"$ref": "#/components/responses/Problem"}
TEXT: dict[str, Any] = {"type": "string"}

# By method; 404 also where the path names a row.
COMMON_ERRORS = ("400", "401", "403", "406", "429", "503")
ERRORS = {
    "post": ("409", "410", "413", "415", "422"),
    "put": ("409", "412", "413", "415"),
    "patch": ("409", "412", "413", "415"),
    "delete": ("409", "412"),
}
DESCRIPTIONS = {"Retry-After": "Seconds until the request may be repeated.", "ETag": "The version of the response."}

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {**TEXT, "format": "uri-reference"},
        "title": {**TEXT, "description": "The status phrase."},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {**TEXT, "description": "What is wrong and what to do."},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldError"}},
    },
    "additionalProperties": False,
}
FIELD_ERROR_SCHEMA = {
    "type": "object",
    "required": ["field", "code", "detail"],
    "properties": {
        "field": {"type": ["string", "null"], "description": "Null if the error concerns several fields or none."},
        "code": TEXT,
        "detail": TEXT,
    },
    "additionalProperties": False,
}


class ApiSchema(AutoSchema):
    def get_tags(self) -> list[str]:
        """The first part of the path after the version."""
        return [self.path.removeprefix("/api/v1/").partition("/")[0]]

    def get_override_parameters(self) -> list[Any]:
        return [*super().get_override_parameters(), *self.get_condition_parameters()] if self.is_resource() else []

    def is_resource(self) -> bool:
        return isinstance(self.view, ResourceViewSet)

    def get_condition_parameters(self) -> list[OpenApiParameter]:
        if self.method == "DELETE":
            return [header("If-Match", "The ETag of the row as you read it, or *.")]
        view: Any = self.view
        options = {"type": "string", "enum": list(view.get_serializer().fields)}
        names = {"type": "array", "minItems": 1, "items": options}
        text = "Field names, comma-separated: only these are returned."
        fields = OpenApiParameter(FIELDS, names, description=text, explode=False)
        parameters = {
            "GET": header("If-None-Match", "An ETag that you have: 304 if it is still current."),
            "PATCH": header("If-Match", "The ETag of the row as you read it, or *: 412 if it has changed since."),
            "POST": header(
                idempotency.HEADER, "A unique key for this request: if it is repeated, nothing is created twice."
            ),
        }
        return [fields, parameters[self.method]]

    def get_auth(self) -> list[Any]:
        """The required token scope, where OpenAPI 3.1 lists required roles."""
        scope = str((getattr(self.view, "token_scopes", None) or SCOPES)[self.method])
        return [
            {name: [scope] if name == "tokenAuth" else roles for name, roles in one.items()}
            for one in super().get_auth()
        ]


def header(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description)


def describe_problems(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """A POSTPROCESSING_HOOK: adds the error responses to every operation."""
    components = result.setdefault("components", {})
    components["schemas"] |= {"Problem": PROBLEM_SCHEMA, "FieldError": FIELD_ERROR_SCHEMA}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    described = {"description": "The request failed; the body says why.", "content": content}
    components["responses"] = {"Problem": described | {"headers": headers("Retry-After")}}
    for path, operations in result["paths"].items():
        for method, operation in operations.items():
            statuses = (*COMMON_ERRORS, *ERRORS.get(method, ()), *(("404",) if "{" in path else ()))
            operation["responses"] |= dict.fromkeys(sorted(statuses), PROBLEM)
            describe_success(method, operation["responses"])
    return result


def describe_success(method: str, responses: dict[str, Any]) -> None:
    for status in ("200", "201"):
        if status in responses and "application/json" in responses[status].get("content", {}):
            responses[status]["headers"] = headers("ETag")
            if method == "get":
                responses["304"] = {"description": "Not modified since your ETag."}


def headers(*names: str) -> dict[str, Any]:
    return {name: {"description": DESCRIPTIONS[name], "schema": TEXT} for name in names}


def forbid_unknown_request_fields(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """A POSTPROCESSING_HOOK: unknown fields are errors."""
    for name, schema in result["components"]["schemas"].items():
        if name.endswith("Request") and schema.get("type") == "object":
            schema.setdefault("additionalProperties", False)
    return result


def make_response_fields_optional(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """A POSTPROCESSING_HOOK: `?fields=` may leave out any of them."""
    for schema in result["components"]["schemas"].values():
        if schema.get("properties", {}).get("id", {}).get("readOnly"):
            schema.pop("required", None)
    return result
