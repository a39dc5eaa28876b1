"""How Gunicorn serves config.wsgi; started as `gunicorn config.wsgi:application -c config/gunicorn.py`."""

import os

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Threads wait for PostgreSQL side by side; a process more would cost its memory again.
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
# The application is loaded once and its memory shared; a fault in it stops the start, not each worker.
preload_app = True
# A worker's heartbeat is a file: on a disk that stalls it would look dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - no file name is guessable
# Its default place is the home directory, which a container's user does not have.
control_socket_disable = True
# Requests in flight get this many seconds at a stop.
graceful_timeout = 25
# The application writes the access line; Gunicorn's own lines go through the same formatter.
logconfig_dict = settings.LOGGING
