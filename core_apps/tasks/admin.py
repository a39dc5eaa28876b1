from typing import Any

from django.contrib import admin
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from core_apps.common.visibility import ApplicationRows
from core_apps.tasks.models import Task
from core_apps.tasks.running import cancel
from core_apps.tasks.waking import wake_workers


@admin.register(Task)
class TaskAdmin(ApplicationRows, admin.ModelAdmin):  # type: ignore[type-arg]
    """Tasks are added by the application, and only repeated or cancelled here."""

    list_display = ("kind", "queue", "state", "attempts", "due_at", "created_at", "error")
    list_filter = ("state", "queue")
    ordering = ("-created_at",)
    show_full_result_count = False
    actions = ("repeat", "cancel")

    @admin.action(description=_("Try the selected tasks again"), permissions=["change"])
    def repeat(self, request: HttpRequest, tasks: Any) -> None:
        tasks = tasks.filter(state__in=Task.REPEATABLE)
        queues = set(tasks.values_list("queue", flat=True))
        count = tasks.update(state=Task.State.QUEUED, due_at=Now(), attempts=0, finished_at=None)
        for queue in queues:
            wake_workers(queue)
        text = ngettext("%(count)d task is tried again.", "%(count)d tasks are tried again.", count)
        self.message_user(request, text % {"count": count})

    @admin.action(description=_("Cancel the selected tasks"), permissions=["change"])
    def cancel(self, request: HttpRequest, tasks: Any) -> None:
        count = cancel(tasks)
        text = ngettext("%(count)d task is cancelled.", "%(count)d tasks are cancelled.", count)
        self.message_user(request, text % {"count": count})
