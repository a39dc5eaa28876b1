import json
from collections.abc import Iterator

import pytest

from e2e.attacks.bystander import Target
from e2e.conftest import new_stacks
from e2e.load import Load
from e2e.site import Site
from e2e.stack import DATABASE, Stack

# A mail server that takes connections and never says a word.
MAIL = """
services:
  mail:
    image: exhibition-crm:${VERSION}
    command: [python, -c, "import socket, time; server = socket.create_server(('', 2525)); time.sleep(1e6)"]
    healthcheck: {test: [CMD, "true"], start_interval: 1s, start_period: 30s}
    stop_grace_period: 1s
    networks: [outside]
"""
# Whatever comes from this machine counts as a proxy, so that attacks can come from several addresses.
SETTINGS = """
EMAIL_HOST=mail
EMAIL_PORT=2525
EMAIL_USE_TLS=false
TRUSTED_PROXIES=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16
"""
PEOPLE = """
import json
from datetime import timedelta
from django.test import Client
from core_apps.accounts.models import ApiToken, User
sessions, tokens = {}, {}
for name in ("alice", *(f"staff-{number}" for number in range(12))):
    user = User.objects.create_superuser(f"{name}@example.com", "correct horse battery")
    client = Client()
    client.force_login(user)
    sessions[name] = client.cookies["sessionid"].value
    tokens[name] = ApiToken.objects.create_token(user, timedelta(days=1), name=name, scopes=["read", "write"])[1]
print(json.dumps({"sessions": sessions, "tokens": tokens}))
"""
# 30 MB of export: more than all buffers between Gunicorn and a client take.
CUSTOMERS = """
SET session_replication_role = replica;
INSERT INTO customers_customer (
  public_id, given_name, family_name, email, phone, phone_e164, job_title, country, stage, source, notes, photo,
  search_text, created_at, updated_at
) SELECT gen_random_uuid(), repeat('a', 100), repeat('b', 90) || n, repeat('c', 200) || n || '@example.com', '', '',
  repeat('d', 80), '', 'lead', 'stand', '', '', 'customer ' || n, now(), now() FROM generate_series(1, 60000) AS n;
"""


@pytest.fixture(scope="package")
def target(engine: None, request: pytest.FixtureRequest) -> Iterator[Target]:
    """One prod tier for all attacks: each must leave it as it was."""
    with new_stacks(request.config) as stack_of:
        yield start(stack_of("prod"))


def start(stack: Stack) -> Target:
    stack.configure(SETTINGS)
    stack.overlay("mail.yml", MAIL)
    stack.make("prod-up")
    people = json.loads(stack.within("web", "python", "manage.py", "shell", "-v0", "-c", PEOPLE).splitlines()[-1])
    stack.within("db", "psql", "-q", "-v", "ON_ERROR_STOP=1", "-U", DATABASE, "-c", CUSTOMERS)
    stack.within("db", "vacuumdb", "-q", "--analyze", "-U", DATABASE, "-t", "customers_customer", DATABASE)
    target = Target(stack, Site("localhost", stack.ports["nginx"]), **people)
    with Load(target.site, target.pages, rate=20, count=100):
        pass  # what each thread makes for its first page is made
    return target
