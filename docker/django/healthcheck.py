"""Exits with 0 if the liveness probe, or the path in the first argument, answers 200; else with 1 and the reason."""

import http.client
import os
import sys

port = int(os.environ.get("PROBE_PORT") or os.environ.get("PORT") or "8000")
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
try:
    connection.request("GET", sys.argv[1] if len(sys.argv) > 1 else "/api/v1/health/")
    status = connection.getresponse().status
except (OSError, http.client.HTTPException) as error:
    sys.exit(f"no answer: {error}")
if status != 200:
    sys.exit(f"answered {status}")
