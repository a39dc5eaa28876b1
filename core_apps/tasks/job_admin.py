from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from core_apps.common.visibility import VisibleRows
from core_apps.tasks.jobs import Job


class JobAdmin(VisibleRows, admin.ModelAdmin):  # type: ignore[type-arg]
    """Each person sees their own jobs. The page of one, which extends tasks/job.html, shows how far it is."""

    show_full_result_count = False
    job_template: str
    # Further pages of a job, by the method of their requests: `name` is answered by `name_view`.
    get_pages: tuple[str, ...] = ()
    post_pages: tuple[str, ...] = ()

    def get_urls(self) -> list[URLPattern]:
        methods = dict.fromkeys(("progress", *self.get_pages), require_GET)
        methods |= dict.fromkeys(("cancel", *self.post_pages), require_POST)
        views = {
            name: self.admin_site.admin_view(only(getattr(self, f"{name}_view"))) for name, only in methods.items()
        }
        own = [path(f"<uuid:key>/{name}/", view, name=self.url_name(name)) for name, view in views.items()]
        return own + super().get_urls()

    def url_name(self, page: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{page}"

    def find(self, request: HttpRequest, key: Any) -> Any:
        """Raises Http404 for the jobs of others too, and for one's own if one may not see any more."""
        job = self.get_object(request, str(key))
        if job is None or not self.has_view_permission(request, job):
            raise Http404
        return job

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def redirect(self, job: Job) -> HttpResponse:
        return HttpResponseRedirect(reverse(f"admin:{self.url_name('change')}", args=[job.pk]))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return self.render(request, self.find(request, object_id))

    def render(self, request: HttpRequest, job: Any, **context: Any) -> HttpResponse:
        context |= self.admin_site.each_context(request) | {"title": str(job), "opts": self.opts, "job": job}
        return TemplateResponse(request, self.job_template, context)

    def progress_view(self, request: HttpRequest, key: Any) -> HttpResponse:
        job = self.find(request, key)
        return JsonResponse({"active": job.is_active, "done": job.done, "total": job.total})

    def cancel_view(self, request: HttpRequest, key: Any) -> HttpResponseBase:
        """The worker notices within a second, and undoes what it has done."""
        job = self.find(request, key)
        self.model._default_manager.filter(pk=job.pk, state__in=Job.ACTIVE).update(state=Job.State.CANCELLED)
        return self.redirect(job)
