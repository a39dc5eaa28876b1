"""Before `make clean`: asks, stops servers that a killed process left, and refuses while one is in use."""

import os
import sys

from config.local.defaults import LOCAL
from config.local.engines import stop_unless_used


def main() -> None:
    if not os.environ.get("FORCE"):
        answer = input("Remove .venv and .local, with the local database and uploads? [y/N] ")
        if answer.lower() != "y":
            sys.exit("Nothing was removed.")
    for directory in (LOCAL / "engines", *LOCAL.glob("test/*/"), *LOCAL.glob("scratch/*/")):
        if directory.is_dir():
            with (directory / "users").open("a") as users:
                if not stop_unless_used(directory, users.fileno()):
                    sys.exit(f"{directory} is in use; stop `make run` or `make test` first.")


if __name__ == "__main__":
    main()
