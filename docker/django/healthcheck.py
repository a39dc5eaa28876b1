"""Exit 0 when this container's liveness probe, or the path that is given, answers 200; else 1 with the reason."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=2)
try:
    connection.request("GET", sys.argv[1] if len(sys.argv) > 1 else "/api/v1/health/")
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error}")
if status != 200:
    sys.exit(f"answered {status}")
