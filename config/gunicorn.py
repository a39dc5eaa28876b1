"""How Gunicorn serves config.wsgi; started as `gunicorn config.wsgi:application -c config/gunicorn.py`."""

import os
from pathlib import Path

from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def cpu_limit(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Processors that this container may use: its quota (cgroup v2, else v1), else those of the host."""
    v2, v1 = cgroup / "cpu.max", cgroup / "cpu/cpu.cfs_quota_us"
    if v2.exists():
        quota, period = v2.read_text().split()
    elif v1.exists():
        quota, period = v1.read_text(), v1.with_name("cpu.cfs_period_us").read_text()
    else:
        quota, period = "max", "1"
    limited = quota.strip() not in ("max", "-1")
    return int(quota) / int(period) if limited else float(os.cpu_count() or 1)


bind = f"{settings.WEB_HOST}:{settings.PORT}"
# Threads wait for PostgreSQL side by side; a process more would cost its memory again.
worker_class = "gthread"
threads = 4
# One process for each processor that the container has, and never one alone: a crash would stop the service.
workers = settings.WEB_CONCURRENCY or max(2, round(cpu_limit()))
# The application is loaded once and its memory shared; a fault in it stops the start, not each worker.
preload_app = True
# A worker that leaks is replaced in time, and the jitter keeps all from being replaced at once.
max_requests = 2000
max_requests_jitter = 400
# A worker's heartbeat is a file: on a disk that stalls it would look dead.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 - no file name is guessable
# Its default place is the home directory, which a container's user does not have.
control_socket_disable = True
# Seconds that an idle connection is kept: longer than nginx keeps its own (60), so that never we close first.
keepalive = 75
# Seconds for requests in flight at a stop: past the database's 15, below Compose's grace of 28 and Kubernetes' 30.
graceful_timeout = 25
# Only these proxies may say who the client is and whether it came by HTTPS.
forwarded_allow_ips = settings.FORWARDED_ALLOW_IPS
# The application writes the access line; Gunicorn's own lines go through the same formatter.
logconfig_dict = settings.LOGGING
