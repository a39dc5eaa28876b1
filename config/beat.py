"""The clock of periodic tasks: `python -m config.beat`. Celery's own command takes 8 MB more."""

import django

from config.celery import app

if __name__ == "__main__":
    django.setup()
    from core_apps.tasks.worker import serve_metrics

    serve_metrics()
    app.Beat(pidfile="").run()
