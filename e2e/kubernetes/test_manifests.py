"""The manifests for Kubernetes, without a cluster."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.checkout import SOURCE
from e2e.kubernetes import manifests
from e2e.kubernetes.manifests import FOLDER, OVERLAYS, VERSIONS, Document, of_kind, parse, pods, render

Checks = dict[str, Callable[[Path], Any]]
CHECKS: Checks = {
    "schema": lambda file: manifests.find_schema_errors(file, VERSIONS[0]),
    "checkov": manifests.find_unsafe,
    "privileges": lambda file: manifests.find_privileges(parse(file.read_text())),
    "selectors": lambda file: manifests.find_unselected(parse(file.read_text())),
    "haste": lambda file: manifests.find_hasty(parse(file.read_text())),
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not manifests.TOOLS.exists():
        pytest.fail("checkov and others are missing: make k8s-check installs them")
    return manifests.copy_sources(tmp_path_factory.mktemp("kubernetes"))


@pytest.fixture(scope="module")
def rendered(sources: Path) -> dict[str, Path]:
    files = {overlay: sources / f"{overlay}.yml" for overlay in OVERLAYS}
    for overlay, file in files.items():
        file.write_text(render(sources, overlay))
    return files


@pytest.fixture(scope="module")
def prod(rendered: dict[str, Path]) -> list[Document]:
    return parse(rendered["prod"].read_text())


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_fit_the_schemas(rendered: dict[str, Path], overlay: str, version: str) -> None:
    assert manifests.find_schema_errors(rendered[overlay], version) == ""


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_have_no_fault(rendered: dict[str, Path], overlay: str, check: str) -> None:
    assert not CHECKS[check](rendered[overlay])


def test_bucket_takes_the_place_of_the_shared_volume(sources: Path, tmp_path: Path) -> None:
    overlay, file = sources / FOLDER / "prod/kustomization.yml", tmp_path / "bucket.yml"
    former = overlay.read_text()
    overlay.write_text(former.replace("[../site]", "[../site, ../bucket]"))
    file.write_text(render(sources, "prod"))
    overlay.write_text(former)

    documents = parse(file.read_text())
    assert "claimName: media" not in file.read_text()
    modes = {mode for claim in of_kind(documents, "PersistentVolumeClaim") for mode in claim["spec"]["accessModes"]}
    assert modes == {"ReadWriteOnce"}
    (outgoing,) = [one for one in documents if one["metadata"]["name"] == "outgoing"]
    (allowed,) = outgoing["spec"]["podSelector"]["matchExpressions"]
    assert allowed["values"] == ["worker", "backup", "web", "certificates"]
    assert [name for name, find in CHECKS.items() if find(file)] == []


@pytest.mark.parametrize(
    ("check", "file", "old", "new"),
    [
        ("schema", "base/web.yml", "livenessProbe:", "livenesProbe:"),
        ("checkov", "base/workers.yml", ', limits: {cpu: "2", memory: 384Mi}}', "}"),
        ("checkov", "base/hardened.yml", "readOnlyRootFilesystem: true, ", ""),
        ("privileges", "base/hardened.yml", "drop: [ALL]", "drop: [NET_RAW]"),
        ("privileges", "base/backup.yml", "runAsNonRoot: true", "runAsNonRoot: false"),
        ("privileges", "base/workers.yml", "persistentVolumeClaim: {claimName: media}", "hostPath: {path: /srv}"),
        ("selectors", "base/web.yml", "targetPort: http", "targetPort: web"),
        ("selectors", "base/network.yml", "values: [worker, backup]", "values: [workers]"),
        ("selectors", "base/media.yml", "name: media", "name: photos"),
        ("selectors", "site/ingress.yml", "service: {name: web,", "service: {name: site,"),
        ("haste", "base/web.yml", "maxUnavailable: 0", "maxUnavailable: 1"),
        (
            "haste",
            "base/web.yml",
            "/api/v1/health/, port: probes}, timeoutSeconds",
            "/api/v1/ready/, port: probes}, timeoutSeconds",
        ),
        ("haste", "base/web.yml", "  strategy:", "  replicas: 2\n  strategy:"),
    ],
)
def test_fault_is_found(sources: Path, tmp_path: Path, check: str, file: str, old: str, new: str) -> None:
    path = sources / FOLDER / file
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))
    try:
        (tmp_path / "prod.yml").write_text(render(sources, "prod"))
    finally:
        path.write_text(before)

    assert CHECKS[check](tmp_path / "prod.yml")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["VERSION=1.2.3", "OVERLAY=production"], "OVERLAY is prod, staging or local-db"),
        (["VERSION="], "VERSION='' is not a tag"),
        (["VERSION=1.2_Beta"], "VERSION='1.2_Beta' is not a tag"),
    ],
)
def test_rendering_says_what_is_wrong(sources: Path, arguments: list[str], words: str) -> None:
    done = manifests.make_render(sources, *arguments)

    assert (done.returncode, words in done.stderr, done.stdout) == (2, True, "")


def test_rendering_without_secrets_says_how_to_generate_them(sources: Path) -> None:
    secret = sources / FOLDER / "prod/secret.env"
    kept = secret.rename(secret.with_name("kept.env"))
    done = manifests.make_render(sources, "VERSION=1.2.3")
    kept.rename(secret)

    assert "deploy/kubernetes/prod/secret.env is missing. make k8s-secrets OVERLAY=prod generates it" in done.stderr
    assert (done.returncode, done.stdout) == (2, "")


def test_version_is_in_each_image_of_ours_and_in_the_name_of_the_job(prod: list[Document]) -> None:
    images = {container["image"] for pod in pods(prod).values() for container in manifests.containers(pod)}
    registry = "registry.example.com"

    assert images == {
        f"{registry}/exhibition-crm:1.2.3",
        f"{registry}/exhibition-crm-certificates:1.2.3",
        f"{registry}/exhibition-crm-backup:postgres-17",
        "redis:8-trixie",
    }
    assert [job["metadata"]["name"] for job in of_kind(prod, "Job")] == ["migrate-1.2.3"]


def test_change_of_a_setting_replaces_the_pods(sources: Path, prod: list[Document]) -> None:
    settings = sources / FOLDER / "prod/settings.env"
    before = settings.read_text()
    settings.write_text(f"{before}TIME_ZONE=Europe/Berlin\n")
    changed = parse(render(sources, "prod"))
    settings.write_text(before)

    assert pods(changed)["web"] != pods(prod)["web"]
    assert pods(changed)["redis"] == pods(prod)["redis"]


def test_staging_differs_in_few_values_and_sends_nothing(rendered: dict[str, Path], prod: list[Document]) -> None:
    staging = parse(rendered["staging"].read_text())
    (settings,) = of_kind(staging, "ConfigMap")

    assert {manifests.title(one) for one in of_kind(prod, "NetworkPolicy")} - {
        manifests.title(one) for one in of_kind(staging, "NetworkPolicy")
    } == {"NetworkPolicy/outgoing"}
    assert settings["data"]["EMAIL_BACKEND"] == "django.core.mail.backends.console.EmailBackend"
    assert len(of_kind(prod, *manifests.MAKERS)) == len(of_kind(staging, *manifests.MAKERS))


def test_commands_and_heartbeats_are_those_of_compose(prod: list[Document]) -> None:
    compose = yaml.safe_load((SOURCE / "docker/compose/tasks.yml").read_text())["services"]
    heartbeat = compose["celery-worker"]["healthcheck"]["test"][1]

    for name in ("worker", "certificates", "beat"):
        command = compose[f"celery-{name}"]["command"]
        (container,) = pods(prod)[name]["spec"]["containers"]
        assert container["args"] == (command if isinstance(command, list) else command.split())
        assert container["livenessProbe"]["exec"]["command"] == ["sh", "-c", heartbeat]


def test_limits_of_the_ingress_are_those_of_nginx(prod: list[Document]) -> None:
    text = (SOURCE / "nginx/snippets/proxy.conf").read_text()
    nginx = dict(re.findall(r"^proxy_(\w+(?:timeout|tries|size)) (\S+);", text, re.MULTILINE))
    (ingress,) = of_kind(prod, "Ingress")
    prefix = "nginx.ingress.kubernetes.io/proxy-"
    ours = {
        name.removeprefix(prefix).replace("-", "_"): value
        for name, value in ingress["metadata"]["annotations"].items()
        if name.startswith(prefix)
    }
    default = re.search(r"UPLOAD_LIMIT_MB:-(\d+)", (SOURCE / "docker/compose/front.yml").read_text())

    assert ours.pop("buffering") == "on"
    assert default
    assert ours.pop("body_size") == f"{default[1]}m"
    assert ours == {name: value.removesuffix("s") for name, value in nginx.items()}


def test_limits_of_memory_are_those_of_compose(prod: list[Document]) -> None:
    application = yaml.safe_load((SOURCE / "docker/compose/application.yml").read_text())["services"]
    tasks = yaml.safe_load((SOURCE / "docker/compose/tasks.yml").read_text())["services"]
    expected = {"web": application["image"], "worker": tasks["celery-worker"], "beat": tasks["celery-beat"]}
    found = {name: pods(prod)[name]["spec"]["containers"][0]["resources"]["limits"]["memory"] for name in expected}

    assert found == {name: service["mem_limit"].replace("m", "Mi") for name, service in expected.items()}
