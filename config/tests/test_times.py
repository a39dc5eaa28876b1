"""One number, one place: what a process needs to end, and what waits for it in each kind of deployment."""

import json
import re
from pathlib import Path

import yaml

from config import gunicorn
from core_apps.tasks.worker import STOP_SECONDS
from deploy.render_swarm import Stack

CHECKOUT = Path(__file__).resolve().parents[2]
# Of ECS on Fargate
LONGEST_STOP = 120


def read(path: str) -> str:
    return (CHECKOUT / path).read_text()


def find_number(path: str, pattern: str) -> int:
    found = re.findall(pattern, read(path))
    assert len(set(found)) == 1, f"{path} has {found or 'nothing'} for {pattern}, instead of one number"
    return int(found[0])


def grace_in_compose(file: str, service: str) -> int:
    return int(yaml.safe_load(read(f"docker/compose/{file}.yml"))["services"][service]["stop_grace_period"][:-1])


def grace_in_swarm(file: str, service: str) -> int:
    """What is left of compose's when the stack file is written."""
    source = {"image": "crm:1", "stop_grace_period": f"{grace_in_compose(file, service)}s"}
    return int(Stack({"name": "crm", "services": {"web": source}}).render_service("web")["stop_grace_period"][:-1])


def grace_in_kubernetes(file: str, name: str) -> int:
    """What is left after preStop, when the process is told to end."""
    documents = yaml.safe_load_all(read(f"deploy/kubernetes/base/{file}.yml"))
    (spec,) = (one["spec"] for one in documents if one["kind"] == "Deployment" and one["metadata"]["name"] == name)
    pod = spec["template"]["spec"]
    hook = pod["containers"][0].get("lifecycle", {}).get("preStop", {"sleep": {"seconds": 0}})
    return int(pod["terminationGracePeriodSeconds"]) - int(hook["sleep"]["seconds"])


def grace_in_ecs(name: str) -> int:
    """The task's own, or what all have in common."""
    own, common = (json.loads(read(f"deploy/ecs/{file}.json"))["containerDefinitions"][0] for file in (name, "task"))
    return int((common | own)["stopTimeout"])


def test_web_may_finish_its_requests_everywhere(settings):
    graces = {
        "docker/compose/application.yml": grace_in_compose("application", "image"),
        "deploy/render_swarm.py": grace_in_swarm("application", "image"),
        "deploy/kubernetes/base/web.yml": grace_in_kubernetes("web", "web"),
        "deploy/ecs/web.json": grace_in_ecs("web"),
        "deploy/ecs/beat.json": grace_in_ecs("beat"),
        "deploy/ecs/migrate.json": grace_in_ecs("migrate"),
    }

    assert gunicorn.graceful_timeout > settings.DATABASE_STATEMENT_TIMEOUT
    assert graces == dict.fromkeys(graces, gunicorn.graceful_timeout + 3)


def test_workers_may_finish_their_tasks_everywhere():
    graces = {
        "docker/compose/tasks.yml": grace_in_compose("tasks", "celery-worker"),
        "deploy/render_swarm.py": grace_in_swarm("tasks", "celery-worker"),
        "deploy/kubernetes/base/workers.yml, worker": grace_in_kubernetes("workers", "worker"),
        "deploy/kubernetes/base/workers.yml, certificates": grace_in_kubernetes("workers", "certificates"),
        "deploy/ecs/worker.json": grace_in_ecs("worker"),
        "deploy/ecs/certificates.json": grace_in_ecs("certificates"),
    }

    assert graces == dict.fromkeys(graces, STOP_SECONDS + 5)
    assert STOP_SECONDS + 5 <= LONGEST_STOP


def test_proxies_let_requests_finish_before_they_end():
    pauses = {
        "nginx/nginx.conf": find_number("nginx/nginx.conf", r"worker_shutdown_timeout (\d+)s;"),
        "docs/scaling.md": find_number("docs/scaling.md", r"deregistration_delay\.timeout_seconds,Value=(\d+)"),
    }

    assert pauses == dict.fromkeys(pauses, gunicorn.graceful_timeout)
    assert gunicorn.graceful_timeout < grace_in_compose("front", "nginx")


def test_proxies_wait_equally_long_for_web(settings):
    """And long enough for web to answer with an error of its own."""
    waits = {
        "nginx/snippets/proxy.conf": find_number("nginx/snippets/proxy.conf", r"\nproxy_read_timeout (\d+)s;"),
        "deploy/kubernetes/site/ingress.yml": find_number(
            "deploy/kubernetes/site/ingress.yml", r'proxy-read-timeout: "(\d+)"'
        ),
        "docs/scaling.md": find_number("docs/scaling.md", r"idle_timeout\.timeout_seconds,Value=(\d+)"),
    }

    assert waits == dict.fromkeys(waits, waits["nginx/snippets/proxy.conf"])
    assert waits["docs/scaling.md"] > settings.DATABASE_STATEMENT_TIMEOUT
