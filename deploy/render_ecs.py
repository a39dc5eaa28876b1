"""Writes the task definitions for Amazon ECS: `python3 -m deploy.render_ecs .local/ecs DIGEST CERTIFICATES_DIGEST`.

deploy/ecs/task.json is what they have in common; further parts and the file of each add to it, or replace. ${NAME} is a
value of account.env, and settings.env becomes the environment.
"""

import json
import re
import sys
from pathlib import Path
from string import Template
from typing import Any

from deploy import env_file

FOLDER = Path("deploy/ecs")
PARTS = {
    "migrate": ["task", "migrate"],
    "web": ["task", "media", "web"],
    "worker": ["task", "media", "heartbeats", "worker"],
    "certificates": ["task", "media", "heartbeats", "certificates"],
    "beat": ["task", "heartbeats", "beat"],
}


def main(target: Path, digests: dict[str, str]) -> None:
    for name, digest in digests.items():
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            sys.exit(f"{name}={digest!r} is not sha256: and 64 hexadecimal digits, as `docker push` prints it")
    values = env_file.read(FOLDER / "account.env") | digests
    definitions = {name: render(name, values | {"NAME": name}) for name in PARTS}
    target.mkdir(parents=True, exist_ok=True)
    for name, definition in definitions.items():
        (target / f"{name}.json").write_text(json.dumps(definition, indent=2) + "\n")
    print(f"Written to {target}: {', '.join(PARTS)}. docs/scaling.md says how to deploy them.")


def render(name: str, values: dict[str, str]) -> dict[str, Any]:
    definition, container = dict[str, Any](), dict[str, Any]()
    for part in PARTS[name]:
        content = load(part, values)
        container |= content["containerDefinitions"][0]
        definition |= content
    settings = env_file.read(FOLDER / "settings.env")
    container["environment"] = [{"name": key, "value": value} for key, value in settings.items()]
    return definition | {"containerDefinitions": [container]}


def load(name: str, values: dict[str, str]) -> dict[str, Any]:
    path = FOLDER / f"{name}.json"
    try:
        content: dict[str, Any] = json.loads(Template(path.read_text()).substitute(values))
    except KeyError as error:
        sys.exit(f"{path} contains ${{{error.args[0]}}}, which {FOLDER}/account.env does not set")
    except ValueError as error:
        sys.exit(f"{path}, with the values of account.env, is not JSON: {error}")
    return content


if __name__ == "__main__":
    main(Path(sys.argv[1]), dict(zip(("DIGEST", "CERTIFICATES_DIGEST"), sys.argv[2:], strict=True)))
