"""Additional checks for schemathesis."""

import json

import schemathesis

# Reasons that the schema must have told beforehand: who kept to it is never refused for one of them.
TOLD = {
    *("invalid_choice", "max_length", "max_value", "min_length", "min_value", "not_a_list", "null"),
    *("out_of_range", "read_only", "repeated", "required"),
}


@schemathesis.check
def reason_is_none_of_the_schema(ctx, response, case):
    """A request valid by the schema is refused only for reasons that no schema can express."""
    if response.status_code != 400 or not (case.meta and case.meta.generation.mode.is_positive):
        return
    errors = json.loads(response.content).get("errors", [])
    assert [error for error in errors if error["code"] in TOLD] == []
