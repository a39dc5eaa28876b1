"""`python3 -m backup COMMAND`: one line for the person and exit code 1 where it was not done."""

import importlib
import os
import sys

from backup.settings import FailedError, Settings

# By command: the module, imported when it is asked for, and its function, called with the settings and the arguments.
COMMANDS = {
    "serve": "serving.serve",
    "take": "runs.command",
    "list": "status.show_backups",
    "status": "status.show_status",
    "health": "status.check_health",
    "verify": "status.verify",
    "fetch": "offsite.command",
    "restore": "restoring.command",
    "drill": "drilling.command",
    "base": "base_backups.command",
    "recover": "recovering.command",
    "move": "moving.command",
}


def main(arguments: list[str]) -> None:
    command, *rest = arguments or [""]
    if command not in COMMANDS:
        raise FailedError(f"{command!r} is not one of {', '.join(COMMANDS)}")
    module, _, function = COMMANDS[command].rpartition(".")
    getattr(importlib.import_module(f"backup.{module}"), function)(Settings.from_environment(), *rest)


if __name__ == "__main__":
    os.umask(0o077)
    try:
        main(sys.argv[1:])
    except (FailedError, OSError) as error:
        sys.exit(f"backup: {error}")
    except KeyboardInterrupt:
        sys.exit("backup: interrupted")
