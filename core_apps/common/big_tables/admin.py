from django.contrib import admin


class BigTableAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What every list has in common."""

    list_per_page = 50
    # One COUNT(*) a page is enough.
    show_full_result_count = False
