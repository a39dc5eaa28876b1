"""Asks for confirmation before `make clean`, and stops what runs in this checkout."""

import os
import sys

from config.local.defaults import LOCAL
from config.local.engines import stop
from config.local.serve import stop_orphans

if __name__ == "__main__":
    question = "Stop what runs here, and remove .venv and .local, with the local database and uploads? [y/N] "
    if not os.environ.get("FORCE") and input(question).lower() != "y":
        sys.exit("Nothing was removed.")
    stop_orphans()
    for directory in (LOCAL / "engines", *LOCAL.glob("test/*/"), *LOCAL.glob("scratch/*/")):
        stop(directory)
