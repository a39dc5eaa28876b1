"""What the application may do in the database of a tier that runs."""

import json
from typing import Any

from e2e.stack import Stack

RIGHTS = """
import json
from django.db import ProgrammingError, connection
with connection.cursor() as cursor:
    cursor.execute(
        "SELECT to_jsonb(role) FROM (SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolreplication,"
        " rolbypassrls, pg_roles.oid = datdba AS owns_database"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()) AS role"
    )
    (role,) = cursor.fetchone()
    try:
        cursor.execute("CREATE TEMPORARY TABLE words (word text)")
        cursor.execute("COPY words FROM PROGRAM 'id'")
    except ProgrammingError as error:
        role = json.loads(role) | {"program": str(error).splitlines()[0]}
print(json.dumps(role))
"""
# PostgreSQL's attributes of the role `app`, and its answer to a program.
APPLICATION = {
    "rolname": "app",
    "rolsuper": False,
    "rolcreaterole": False,
    "rolcreatedb": False,
    "rolreplication": False,
    "rolbypassrls": False,
    "owns_database": True,
    "program": "permission denied to COPY to or from an external program",
}


def application_rights(stack: Stack) -> dict[str, Any]:
    output = stack.within("web", "python", "manage.py", "shell", "--no-imports", "-c", RIGHTS)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found
