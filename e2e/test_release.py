"""`.github/workflows/release.yml`, run here by act, and what `make prod-deploy` makes of its releases.

The registry, buildx, syft, cosign and the tier are real; the key of cosign takes the place of an identity at GitHub.
"""

import base64
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.checkout import SOURCE
from e2e.deploys import GIT, STYLE, Deployed
from e2e.site import ask
from e2e.stack import Stack, docker, free_ports, new_stack

RATE, REQUESTS = 30, 1_500
WORKFLOW = ".github/workflows/release.yml"
TOOLS = "exhibition-crm-e2e-registry"
DOCKERFILE = """
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates cosign docker-registry
RUN echo '{version: 0.1, storage: {filesystem: {rootdirectory: /registry}}, http: {addr: ":5000"}}' >/registry.yml
ENV COSIGN_PASSWORD=none
"""
ACTION = "name: none\ndescription: none\nruns: {using: composite, steps: [{run: 'true', shell: sh}]}\n"
PROGRAMS = {
    "cosign": """
command=$1; shift
case "$command $*" in sign*--key*) ;; sign*|attest*) set -- --key cosign.key --tlog-upload=false "$@" ;; esac
case $command in attest) cp sbom.spdx.json {folder} ;; esac
exec docker run --rm --network host --volume {folder}:{folder} --workdir {folder} {tools} cosign "$command" "$@"
""",
    # There is none here, nor what it would compare with.
    "trivy": 'echo trivy "$@" >>{folder}/calls',
    "ssh": """
for command; do :; done
echo "$command" >>{folder}/calls
# A pipeline builds on another machine.
case $command in *staging-deploy*) exec docker image rm {repository}:1.2.0 {repository}-certificates:1.2.0 ;; esac
cd {folder} && exec env -i {environment} sh -c "$command"
""",
}
PACKAGES = "import importlib.metadata as m; print(*(f'{d.name} {d.version}' for d in m.distributions()), sep='\\n')"


@dataclass
class Pipeline:
    deployed: Deployed
    folder: Path
    port: int

    @property
    def repository(self) -> str:
        return f"127.0.0.1:{self.port}/exhibition-crm"

    @property
    def calls(self) -> str:
        """Return the command lines of the programs that are missing here."""
        file = self.folder / "calls"
        return file.read_text() if file.exists() else ""

    @property
    def digest(self) -> str:
        """Return that of the release, which was to be scanned."""
        (digest,) = re.findall(r"^trivy .*@(sha256:\w{64})$", self.calls, re.M)
        return str(digest)

    @property
    def version(self) -> str:
        return f"1.2.0-{self.digest.removeprefix('sha256:')[:12]}"

    def cosign(self, *arguments: str) -> str:
        return self.deployed.stack.run("cosign", *arguments)

    def install_programs(self) -> None:
        """Put them before those of this machine, for the pipeline and for the server."""
        stack = self.deployed.stack
        programs = self.folder / "bin"
        stack.environment["PATH"] = f"{programs}:{Path(sys.executable).parent}:{stack.environment['PATH']}"
        environment = shlex.join(f"{name}={value}" for name, value in stack.environment.items())
        programs.mkdir()
        for name, script in PROGRAMS.items():
            text = script.format(folder=self.folder, tools=TOOLS, environment=environment, repository=self.repository)
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        self.cosign("generate-key-pair")

    def tag_release(self) -> None:
        """Commit a change in the repository that the server fetches from, and tag it."""
        stack = self.deployed.stack
        repository = self.folder / "repository"
        stack.run("git", "clone", "--quiet", ".", str(repository))
        (repository / STYLE).write_text("a { color: green }\n")
        # The runs of the tests before it, in another file, are left out.
        text = (repository / WORKFLOW).read_text()
        (repository / WORKFLOW).write_text(re.sub(r"  ci:\n    uses: .*\n|    needs: ci\n", "", text))
        within = [*GIT, "-C", str(repository)]
        stack.run(*within, "commit", "--quiet", "--all", "--message", "A release")
        stack.run(*within, "tag", "v1.2.0")
        stack.run("git", "remote", "set-url", "origin", str(repository))

    def run(self) -> str:
        """Run the workflow for the tag, and return its output."""
        action = self.folder / "action"
        for folder in (action, action / "download-syft"):
            folder.mkdir()
            (folder / "action.yml").write_text(ACTION)
        (self.folder / "event.json").write_text('{"ref": "refs/tags/v1.2.0"}')
        used = set(re.findall(r"uses: ([\w-]+/[\w-]+)\S*@(\w{40})", (SOURCE / WORKFLOW).read_text()))
        command = ["act", "push", "--workflows", WORKFLOW, "--eventpath", str(self.folder / "event.json")]
        command += ["--platform", "ubuntu-latest=-self-hosted"]
        command += [part for name, commit in used for part in ("--local-repository", f"{name}@{commit}={action}")]
        command += ["--var", f"IMAGE_REPOSITORY={self.repository}", "--var", "SERVER=crm@server"]
        command += ["--secret", "SSH_KEY=of-a-user", "--secret", "GITHUB_TOKEN=of-the-run"]
        architecture = docker("version", "--format", "{{.Server.Arch}}")
        command += ["--env", f"PLATFORMS=linux/{architecture}", "--env", f"DOCKER_CONFIG={self.folder}"]
        environment = self.deployed.stack.environment | {"XDG_CACHE_HOME": str(self.folder)}
        done = subprocess.run(
            command, cwd=self.folder / "repository", env=environment, capture_output=True, text=True, timeout=1200
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
        return done.stdout

    def push_changed_image(self, change: str) -> str:
        """Push an image made of the release to its place, and return the digest."""
        name = f"{self.repository}:1.2.0"
        dockerfile = f"FROM exhibition-crm:{self.version}\nLABEL changed={change}\n"
        subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=dockerfile.encode(), check=True)
        docker("push", "--quiet", name)
        pushed = docker("image", "inspect", "--format", "{{json .RepoDigests}}", name)
        docker("image", "rm", name)
        (digest,) = re.findall(rf"{self.repository}@(sha256:\w+)", pushed)
        return str(digest)

    def copy_signature(self, digest: str) -> None:
        """Attach the signature of the release to another image."""
        path, kind = "/v2/exhibition-crm/manifests/{}.sig", "application/vnd.oci.image.manifest.v1+json"
        signature = ask(self.port, "GET", path.format(self.digest.replace(":", "-")), {"Accept": kind})
        copied = ask(self.port, "PUT", path.format(digest.replace(":", "-")), {"Content-Type": kind}, signature.body)
        assert (signature.status, copied.status) == (200, 201)


@pytest.fixture(scope="module")
def registry(engine: None) -> Iterator[int]:
    subprocess.run(["docker", "build", "--quiet", "--tag", TOOLS, "-"], input=DOCKERFILE.encode(), check=True)
    (port,) = free_ports(1)
    serve = ["docker-registry", "serve", "/registry.yml"]
    container = docker("run", "--detach", "--publish", f"127.0.0.1:{port}:5000", TOOLS, *serve)
    yield port
    docker("rm", "--force", "--volumes", container)
    built = ["--filter", "reference=exhibition-crm*:1.2.0-*", "--format", "{{.Repository}}:{{.Tag}}"]
    docker("image", "rm", TOOLS, *docker("image", "ls", *built).split())


@pytest.fixture(scope="module")
def pipeline(registry: int, stack_of: Callable[[str], Stack]) -> Pipeline:
    """A tier that has deployed what the pipeline released, under load."""
    stack = stack_of("prod")
    # Where a server has it.
    stack.checkout = stack.checkout.rename(stack.checkout.with_name("exhibition-crm"))
    pipeline = Pipeline(Deployed(stack), stack.checkout.parent, registry)
    pipeline.install_programs()
    pipeline.tag_release()
    trust = f"--key={pipeline.folder}/cosign.pub --insecure-ignore-tlog"
    stack.configure(f"IMAGE_REPOSITORY={pipeline.repository}\nCOSIGN_VERIFY={trust}\n")
    with ThreadPoolExecutor(1) as threads:
        run = threads.submit(pipeline.run)
        # Not before: a build would not share a server's processors.
        while not run.done() and "staging-deploy" not in pipeline.calls:
            time.sleep(0.1)
        with pipeline.deployed.load(RATE, count=REQUESTS) as load:
            print(run.result())
    print(load.report())
    assert load.failures == []
    return pipeline


@pytest.mark.full
def test_pipeline_deploys_its_release_and_loses_nothing(pipeline: Pipeline) -> None:
    deploys = re.findall(r"make (.*)", pipeline.calls)
    assert deploys == [f"{tier}-deploy VERSION=@{pipeline.digest}" for tier in ("staging", "prod")]
    deployed = pipeline.deployed
    assert (deployed.version, deployed.versions()) == (pipeline.version, [pipeline.version])
    assert "green" in ask(deployed.site, "GET", deployed.style()).text
    # Known by the version alone, so that it is removed with it.
    assert docker("image", "ls", "--quiet", pipeline.repository) == ""


@pytest.mark.full
def test_list_of_the_release_names_every_package(pipeline: Pipeline) -> None:
    arguments = ["--key", "cosign.pub", "--insecure-ignore-tlog", "--type", "spdxjson"]
    signed = pipeline.cosign("verify-attestation", *arguments, f"{pipeline.repository}@{pipeline.digest}")
    (payload,) = re.findall(r'"payload":"([\w+/=]+)"', signed)
    listed = json.loads(base64.b64decode(payload))["predicate"]["packages"]
    names = {(normalise(one["name"]), one.get("versionInfo")) for one in listed}
    image = f"exhibition-crm:{pipeline.version}"
    run = ["run", "--rm", "--entrypoint"]
    installed = docker(*run, "python", image, "-c", PACKAGES).splitlines()
    installed += docker(*run, "dpkg-query", image, "-W", "--showformat", "${Package} ${Version}\\n").splitlines()
    expected = {(normalise(name), version) for name, version in map(str.split, installed)}
    print(f"{len(expected)} packages, {len(names)} listed")
    assert len(expected) > 100
    assert expected - names == set()


def normalise(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.full
@pytest.mark.parametrize("change", ["unsigned", "signed-by-another", "with-the-signature-of-the-release"])
def test_changed_image_is_refused(pipeline: Pipeline, change: str) -> None:
    deployed = pipeline.deployed
    digest = pipeline.push_changed_image(change)
    if change == "signed-by-another":
        pipeline.cosign("generate-key-pair", "--output-key-prefix", "another")
        pipeline.cosign(
            "sign", "--key", "another.key", "--tlog-upload=false", "--yes", f"{pipeline.repository}@{digest}"
        )
    if change == "with-the-signature-of-the-release":
        pipeline.copy_signature(digest)
    before = deployed.list_resources(), deployed.history(), deployed.version
    said = deployed.stack.make("prod-deploy", f"VERSION=@{digest}", fails=True)
    assert f"The signature of {digest} does not verify; nothing was changed" in said
    assert (deployed.list_resources(), deployed.history(), deployed.version) == before
    assert docker("image", "ls", "--quiet", pipeline.repository) == ""


@pytest.mark.full
def test_release_is_rolled_back_and_deployed_again(pipeline: Pipeline) -> None:
    deployed, version = pipeline.deployed, pipeline.version
    with deployed.keep_visiting():
        deployed.stack.make("prod-rollback")
        former = deployed.versions()
        deployed.stack.make("prod-deploy", f"VERSION=@{pipeline.digest}")
    assert former != [version]
    assert deployed.versions() == [version]


@pytest.mark.parametrize(
    ("digest", "lines", "words"),
    [
        ("sha256:" + "0" * 64, "", "IMAGE_REPOSITORY or COSIGN_VERIFY is not set in .envs/.env.production"),
        ("sha256:12", "IMAGE_REPOSITORY=localhost/crm\nCOSIGN_VERIFY=--key=none\n", "sha256:12 is not a digest"),
    ],
)
def test_release_that_cannot_be_verified_is_refused(tmp_path: Path, digest: str, lines: str, words: str) -> None:
    stack = new_stack("prod", tmp_path)
    stack.configure(lines)
    assert words in stack.make("prod-deploy", f"VERSION=@{digest}", fails=True)
    assert not (stack.checkout / ".envs/deployments.jsonl").exists()
