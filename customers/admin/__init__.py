"""The pages a stand team works with; each write is a form or a service, each read a QuerySet method."""

from django.contrib import admin

from customers.admin import company, customer, exhibition, follow_up, tag, visit

__all__ = ["company", "customer", "exhibition", "follow_up", "tag", "visit"]

admin.site.site_header = admin.site.site_title = "Exhibition CRM"
admin.site.index_title = "Customers, visits, exhibitions"
admin.site.site_url = None  # the admin is the site
admin.site.enable_nav_sidebar = False  # the lists need its width
