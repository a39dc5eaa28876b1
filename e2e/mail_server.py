"""A mail server in a container, which prints some headers of each mail: a script for the image of Python."""

from e2e.checkout import SOURCE

# For an overlay of the prod tier, with the script in mail.py.
SERVICE = """
services:
  mail:
    image: python:3.13-slim-trixie
    command: [python3, -u, /mail.py]
    volumes: ["./mail.py:/mail.py:ro"]
    healthcheck: {test: [CMD, "true"], start_interval: 1s, start_period: 30s}
    stop_grace_period: 1s
    networks: [outside]
"""
SCRIPT = (
    (SOURCE / "core_apps/tasks/tests/mail_servers.py").read_text()
    + """

class Printer(list):
    def append(self, message):
        headers = [line for line in message.splitlines() if line.startswith(("Message-ID", "To:", "Subject"))]
        print(*headers, sep="\\n")


server = socketserver.ThreadingTCPServer(("", 2525), Session)
server.daemon_threads, server.messages, server.connections = True, Printer(), 0
server.serve_forever()
"""
)
