"""`python3 -m backup COMMAND`: prints one line and exits with 1 on failure."""

import importlib
import os
import sys

from backup.errors import EXPECTED, BackupError, describe
from backup.settings import Settings

# Module (imported on demand) and function of each command, called with the settings and the arguments.
COMMANDS = {
    "serve": "service.serve",
    "take": "runs.command",
    "list": "status.show_backups",
    "status": "status.show_status",
    "health": "status.check_health",
    "fetch": "offsite.command",
    "restore": "restore.command",
    "move": "restore.move",
    "drill": "drill.command",
    "archive": "pitr.serve",
    "archive-health": "pitr.check_health",
    "recover": "pitr.command",
}


def main(arguments: list[str]) -> None:
    command, *rest = arguments or [""]
    if command not in COMMANDS:
        raise BackupError(f"{command!r} is not one of {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[command].rpartition(".")
    getattr(importlib.import_module(f"backup.{module}"), function)(Settings.from_environment(), *rest)


if __name__ == "__main__":
    os.umask(0o077)
    try:
        main(sys.argv[1:])
    except EXPECTED as error:
        sys.exit(f"backup: {describe(error)}")
    except KeyboardInterrupt:
        sys.exit("backup: interrupted")
