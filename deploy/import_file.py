"""Imports a file of this machine in a tier: `COMPOSE=… python3 -m deploy.import_file KIND FILE [OPTION…]`.

KIND is customers or companies, and FILE may be - for the standard input. The options are those of the command;
`--errors` names a file of this machine.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from deploy.tier import DeployError, run

REJECTED = "rejected.csv"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make import", allow_abbrev=False)
    parser.add_argument("kind", choices=["customers", "companies"])
    parser.add_argument("file")
    parser.add_argument("--errors", type=Path)
    known, options = parser.parse_known_args(arguments)
    in_web = [*os.environ["COMPOSE"].split(), "exec", "-T", "web"]
    directory = run([*in_web, "mktemp", "-d"]).strip()
    try:
        target = f"{directory}/{Path(known.file).name if known.file != '-' else 'standard-input'}"
        upload(in_web, known.file, target)
        errors = ["--errors", f"{directory}/{REJECTED}"] if known.errors else []
        command = ["python", "manage.py", f"import_{known.kind}", target, *options, *errors]
        status = subprocess.run([*in_web, *command]).returncode
        if known.errors and REJECTED in run([*in_web, "ls", directory]).split():
            known.errors.write_text(run([*in_web, "cat", f"{directory}/{REJECTED}"]), encoding="utf-8")
    finally:
        run([*in_web, "rm", "-r", directory])
    return status


def upload(in_web: list[str], file: str, target: str) -> None:
    with sys.stdin.buffer if file == "-" else Path(file).open("rb") as content:
        subprocess.run([*in_web, "sh", "-c", 'cat > "$0"', target], stdin=content, check=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except DeployError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
