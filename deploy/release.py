"""Releases: images in a registry, which a pipeline has signed.

`python3 -m deploy.release REPOSITORY VERSION PLATFORMS` builds and pushes one, and prints its name: the digest of the
application's image. A label of that image holds the digest of the image for certificates, so that one signature is for
both. `make prod-deploy VERSION=@DIGEST` calls `fetch`.
"""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

from deploy.deployments import Deployments, RefusedError
from deploy.tier import DeployError, Tier, run

CERTIFICATES = "exhibition-crm.certificates"
VERSION = "org.opencontainers.image.version"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Leaves room for the digest in the tag of an image.
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,49}")


def build(repository: str, version: str, platforms: str) -> str:
    """Build both images for these platforms, push them, and return the release's digest."""
    if not repository or not NAME.fullmatch(version):
        raise RefusedError(f"IMAGE_REPOSITORY='{repository}' and VERSION='{version}' must name an image and its tag.")
    options = ["--platform", platforms, "--build-arg", f"VERSION={version}"]
    certificates = push(f"{repository}-certificates:{version}", "--target", "certificates", *options)
    return push(f"{repository}:{version}", "--label", f"{CERTIFICATES}={certificates}", *options)


def push(name: str, *options: str) -> str:
    with tempfile.NamedTemporaryFile() as metadata:
        command = ["docker", "buildx", "build", "--push", "--tag", name, "--metadata-file", metadata.name, *options]
        run([*command, "--build-arg", "REVISION", "--file", "docker/django/Dockerfile", "."], stream_output=True)
        return str(json.loads(Path(metadata.name).read_text())["containerimage.digest"])


def fetch(tier: Tier, deployments: Deployments, digest: str) -> str:
    """Pull a release whose signature verifies, and return the version that its images have here."""
    repository = verify(deployments, digest)
    web = f"{repository}@{digest}"
    try:
        labels = pull(web)
        certificates = f"{repository}-certificates@{labels[CERTIFICATES]}"
        pull(certificates)
    except KeyError as error:
        raise RefusedError(f"{web} has no label {error}: only what `make release` builds can be deployed.") from error
    except DeployError as error:
        raise RefusedError(str(error)) from error
    version = f"{labels[VERSION]}-{digest.removeprefix('sha256:')[:12]}"
    tag(web, tier.image("web", version))
    tag(certificates, tier.image("celery-certificates", version))
    return version


def verify(deployments: Deployments, digest: str) -> str:
    """Return the repository of the release; raise RefusedError unless it is signed as COSIGN_VERIFY demands."""
    repository, options = deployments.variable("IMAGE_REPOSITORY"), deployments.variable("COSIGN_VERIFY")
    if not repository or not options:
        raise RefusedError(f"IMAGE_REPOSITORY or COSIGN_VERIFY is not set in {deployments.env_file}. See .env.example")
    if not DIGEST.fullmatch(digest):
        raise RefusedError(f"{digest} is not a digest, sha256: and 64 hexadecimal digits.")
    if not shutil.which("cosign"):
        raise RefusedError("cosign, which verifies signatures, is not installed. On Debian: apt install cosign")
    try:
        run(["cosign", "verify", *options.split(), f"{repository}@{digest}"])
    except DeployError as error:
        raise RefusedError(f"The signature of {digest} does not verify; nothing was changed. {error}") from error
    return repository


def pull(image: str) -> dict[str, str]:
    """Return the labels of the image. Docker compares what it receives with the digest in the name."""
    run(["docker", "pull", "--quiet", image])
    labels = json.loads(run(["docker", "image", "inspect", "--format", "{{json .Config.Labels}}", image]))
    return dict(labels or {})


def tag(image: str, name: str) -> None:
    """Give the image this name alone: under its former one, it would outlive the version."""
    run(["docker", "tag", image, name])
    run(["docker", "image", "rm", image])


if __name__ == "__main__":
    try:
        print(build(*sys.argv[1:]))
    except (RefusedError, DeployError) as error:
        sys.exit(str(error))
