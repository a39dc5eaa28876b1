#!/usr/bin/env python
import os
import sys

from django.core.management import execute_from_command_line

from core_apps.history.cause import Source, caused_by

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    with caused_by(Source.COMMAND, " ".join(sys.argv[1:2])):
        execute_from_command_line(sys.argv)
