"""The logs of all containers, at another server that speaks RELP over TLS."""

import json
import time
from pathlib import Path

import pytest
import trustme

from e2e.observability.observed import Observed
from e2e.site import ask
from e2e.stack import docker, seconds_until

pytestmark = pytest.mark.full
LINES, AWAY_SECONDS = 100_000, 60
OVERLAY = """
services:
  sink:
    extends: {file: docker/compose/observability.yml, service: logs}
    command: [rsyslogd, -n, -i, NONE, -f, /sink/rsyslog.conf]
    volumes: ["./sink:/sink:ro", "received:/received"]
  writer:
    extends: {file: docker/compose/services.yml, service: hardened}
    image: python:3.13-slim-trixie
    command: [python3, -u, -c, "import time; [print('line', n, 'x' * 150) for n in range(%d)]; time.sleep(3600)"]
volumes:
  received:
"""
CONFIGURATION = """
global(workDirectory="/received")
module(load="imrelp" tls.tlslib="openssl")
template(name="message" type="string" string="%msg%\\n")
input(
  type="imrelp" port="2514" maxDataSize="64k"
  tls="on" tls.caCert="/sink/ca.pem" tls.myCert="/sink/certificate.pem" tls.myPrivKey="/sink/key.pem"
)
action(type="omfile" file="/received/all" template="message")
"""


class Logs:
    def __init__(self, tier: Observed) -> None:
        self.stack = tier.watching
        directory = self.stack.checkout / "sink"
        directory.mkdir()
        (directory / "rsyslog.conf").write_text(CONFIGURATION)
        ca = trustme.CA()
        certificate = ca.issue_cert("sink")
        ca.cert_pem.write_to_path(str(directory / "ca.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(directory / "certificate.pem"))
        certificate.private_key_pem.write_to_path(str(directory / "key.pem"))
        trustme.CA().cert_pem.write_to_path(str(directory / "another.pem"))
        root = Path(docker("info", "--format", "{{.DockerRootDir}}"))
        self.stack.environment |= {"LOGS_HOST": "sink", "LOGS_DIRECTORY": str(root / "containers")}
        self.stack.overlay("logs.yml", OVERLAY % LINES)
        self.stack.compose("up", "--detach", "--build", "sink")

    def send(self, authority: str) -> None:
        self.stack.environment["LOGS_CA"] = f"./sink/{authority}"
        self.stack.compose("--profile", "logs", "up", "--detach", "--build", "logs")

    def find_received(self, text: str) -> list[dict[str, object]]:
        """Return the lines that contain the text."""
        found = self.stack.within("sink", "sh", "-c", f"cat /received/all | grep -F {text!r} || true")
        return [json.loads(line) for line in found.splitlines()]

    def count_lines(self) -> int:
        count = "grep -soE 'line [0-9]+ x' /received/all | sort -u | wc -l"
        return int(self.stack.within("sink", "sh", "-c", count))


@pytest.fixture(scope="module")
def logs(prometheus: Observed) -> Logs:
    return Logs(prometheus)


def test_logs_are_sent_to_nobody_else(logs: Logs) -> None:
    logs.send("another.pem")
    seconds_until(lambda: "certificate validation failed" in logs.stack.logs("logs"), 60)
    assert logs.stack.within("sink", "ls", "/received").split() == []


def test_lines_of_a_request_are_found_by_its_id(logs: Logs, prometheus: Observed) -> None:
    logs.send("ca.pem")
    request_id = ask(prometheus.site, "GET", "/admin/login/").headers["X-Request-Id"]
    seconds_until(lambda: len(logs.find_received(request_id)) >= 2, 60)
    lines = {str(line["attrs"]): json.loads(str(line["log"])) for line in logs.find_received(request_id)}
    assert {line["request_id"] for line in lines.values()} == {request_id}
    tags = {attributes.partition("e2e-")[2] for attributes in lines}
    assert any("-web-1 exhibition-crm:" in tag for tag in tags)
    assert any("-nginx-1 " in tag for tag in tags)


def test_no_line_is_lost_while_the_other_server_is_away(logs: Logs) -> None:
    logs.send("ca.pem")
    logs.stack.compose("up", "--detach", "writer")
    seconds_until(lambda: logs.count_lines() > 1000, 60)
    # Not killed: it would lose what it has confirmed, and not yet written.
    docker("stop", logs.stack.container("sink"))
    time.sleep(AWAY_SECONDS)
    docker("start", logs.stack.container("sink"))
    seconds = seconds_until(lambda: logs.count_lines() == LINES, 900)
    print(f"{LINES} lines with the sink away for {AWAY_SECONDS} s: all there {seconds:.0f} s after its return")
