import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import core_apps.common.fields
import customers.models.customer
import customers.models.rules


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Capture",
            fields=[
                (
                    "created_at",
                    models.DateTimeField(
                        auto_now_add=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="created"
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        auto_now=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="updated"
                    ),
                ),
                (
                    "client_uuid",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
            ],
            options={
                "verbose_name": "capture",
                "verbose_name_plural": "captures",
            },
        ),
        migrations.CreateModel(
            name="FollowUp",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(
                        auto_now_add=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="created"
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        auto_now=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="updated"
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[
                            ("phone", "Phone"),
                            ("email", "E-mail"),
                            ("meeting", "Meeting"),
                            ("message", "Message"),
                            ("post", "Post"),
                        ],
                        default="phone",
                        max_length=10,
                        verbose_name="channel",
                    ),
                ),
                ("due_at", models.DateTimeField(verbose_name="due")),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "High"), (2, "Normal"), (3, "Low")], default=2, verbose_name="priority"
                    ),
                ),
                (
                    "note",
                    models.TextField(
                        blank=True, help_text="What is to be done.", max_length=10000, verbose_name="note"
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("reached", "Reached"),
                            ("meeting", "Meeting arranged"),
                            ("quote", "Quote wanted"),
                            ("no_answer", "No answer"),
                            ("declined", "Not interested"),
                        ],
                        max_length=10,
                        verbose_name="outcome",
                    ),
                ),
                ("completed_at", models.DateTimeField(blank=True, null=True, verbose_name="completed")),
            ],
            options={
                "verbose_name": "follow-up",
                "verbose_name_plural": "follow-ups",
                "ordering": ("due_at", "pk"),
            },
        ),
        migrations.CreateModel(
            name="Tag",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(
                        auto_now_add=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="created"
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        auto_now=True, db_default=django.db.models.functions.datetime.Now(), verbose_name="updated"
                    ),
                ),
                ("name", models.CharField(max_length=50, verbose_name="name")),
            ],
            options={
                "verbose_name": "tag",
                "verbose_name_plural": "tags",
                "ordering": ("name", "pk"),
            },
        ),
        migrations.AlterModelOptions(
            name="company",
            options={"ordering": ("name", "pk"), "verbose_name": "company", "verbose_name_plural": "companies"},
        ),
        migrations.AlterModelOptions(
            name="customer",
            options={
                "ordering": ("-created_at", "-pk"),
                "permissions": (
                    ("view_every_customer", "Can see the customers, visits and follow-ups of every exhibition"),
                    ("export_customer", "Can export customers"),
                ),
                "verbose_name": "customer",
                "verbose_name_plural": "customers",
            },
        ),
        migrations.AlterModelOptions(
            name="exhibition",
            options={
                "ordering": ("-starts_on", "-pk"),
                "verbose_name": "exhibition",
                "verbose_name_plural": "exhibitions",
            },
        ),
        migrations.AlterModelOptions(
            name="visit",
            options={"ordering": ("-visited_at", "-pk"), "verbose_name": "visit", "verbose_name_plural": "visits"},
        ),
        migrations.AddField(
            model_name="company",
            name="search_text",
            field=models.TextField(
                blank=True, db_default="", editable=False, help_text="Written by the database alone: name and domain."
            ),
        ),
        migrations.AddField(
            model_name="customer",
            name="archived_at",
            field=models.DateTimeField(blank=True, editable=False, null=True, verbose_name="archived"),
        ),
        migrations.AddField(
            model_name="customer",
            name="search_text",
            field=models.TextField(
                blank=True,
                db_default="",
                editable=False,
                help_text="Written by the database alone: names, e-mail, digits of the phone number, company.",
            ),
        ),
        migrations.AddField(
            model_name="exhibition",
            name="staff",
            field=models.ManyToManyField(
                blank=True,
                help_text="Who works at our stand: stand staff see the customers and visits of their exhibitions.",
                related_name="exhibitions",
                to=settings.AUTH_USER_MODEL,
                verbose_name="stand staff",
            ),
        ),
        migrations.AlterField(
            model_name="company",
            name="country",
            field=core_apps.common.fields.CountryField(verbose_name="country"),
        ),
        migrations.AlterField(
            model_name="company",
            name="industry",
            field=models.CharField(blank=True, max_length=100, verbose_name="industry"),
        ),
        migrations.AlterField(
            model_name="company",
            name="name",
            field=models.CharField(max_length=200, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="company",
            name="website",
            field=core_apps.common.fields.WebAddressField(blank=True, verbose_name="website"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="company",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="customers",
                to="customers.company",
                verbose_name="company",
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="country",
            field=core_apps.common.fields.CountryField(verbose_name="country"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="family_name",
            field=models.CharField(blank=True, max_length=100, verbose_name="family name"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="given_name",
            field=models.CharField(blank=True, max_length=100, verbose_name="given name"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="job_title",
            field=models.CharField(blank=True, max_length=150, verbose_name="job title"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="notes",
            field=models.TextField(blank=True, max_length=10000, verbose_name="notes"),
        ),
        migrations.AlterField(
            model_name="customer",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                help_text="Who looks after the customer.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="customers",
                to=settings.AUTH_USER_MODEL,
                verbose_name="owner",
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="phone",
            field=models.CharField(
                blank=True,
                help_text="As written; without +, the country's own form.",
                max_length=50,
                verbose_name="phone",
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="photo",
            field=models.ImageField(
                blank=True,
                max_length=60,
                upload_to=customers.models.customer.photo_path,
                validators=[django.core.validators.validate_image_file_extension],
                verbose_name="photo",
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="source",
            field=models.CharField(
                choices=[
                    ("stand", "Met at a stand"),
                    ("import", "Imported"),
                    ("website", "Website"),
                    ("referral", "Referral"),
                    ("other", "Other"),
                ],
                default="stand",
                max_length=10,
                verbose_name="source",
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="stage",
            field=models.CharField(
                choices=[
                    ("lead", "Lead"),
                    ("prospect", "Prospect"),
                    ("customer", "Customer"),
                    ("inactive", "Inactive"),
                ],
                default="lead",
                max_length=10,
                verbose_name="stage",
            ),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="city",
            field=models.CharField(blank=True, max_length=100, verbose_name="city"),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="country",
            field=core_apps.common.fields.CountryField(verbose_name="country"),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="edition",
            field=models.CharField(
                blank=True, help_text="What tells it from the other years: 2027.", max_length=50, verbose_name="edition"
            ),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="industry",
            field=models.CharField(blank=True, max_length=100, verbose_name="industry"),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="name",
            field=models.CharField(max_length=200, verbose_name="name"),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="time_zone",
            field=models.CharField(
                default="UTC",
                help_text="IANA name: Europe/Berlin.",
                max_length=50,
                validators=[customers.models.rules.validate_time_zone],
                verbose_name="time zone",
            ),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="venue",
            field=models.CharField(blank=True, max_length=200, verbose_name="venue"),
        ),
        migrations.AlterField(
            model_name="exhibition",
            name="website",
            field=core_apps.common.fields.WebAddressField(blank=True, verbose_name="website"),
        ),
        migrations.AlterField(
            model_name="visit",
            name="captured_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="captured_visits",
                to=settings.AUTH_USER_MODEL,
                verbose_name="captured by",
            ),
        ),
        migrations.AlterField(
            model_name="visit",
            name="customer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="visits",
                to="customers.customer",
                verbose_name="customer",
            ),
        ),
        migrations.AlterField(
            model_name="visit",
            name="exhibition",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="visits",
                to="customers.exhibition",
                verbose_name="exhibition",
            ),
        ),
        migrations.AlterField(
            model_name="visit",
            name="grade",
            field=models.CharField(
                blank=True,
                choices=[("A", "A: buys soon"), ("B", "B: interested"), ("C", "C: later"), ("D", "D: no business")],
                max_length=1,
                verbose_name="grade",
            ),
        ),
        migrations.AlterField(
            model_name="visit",
            name="interests",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=60),
                blank=True,
                default=list,
                help_text="Comma-separated.",
                size=None,
                verbose_name="interests",
            ),
        ),
        migrations.AlterField(
            model_name="visit",
            name="note",
            field=models.TextField(blank=True, max_length=10000, verbose_name="note"),
        ),
        migrations.AlterField(
            model_name="visit",
            name="stand",
            field=models.CharField(
                blank=True, help_text="Hall and number: 7.1 C042.", max_length=50, verbose_name="stand"
            ),
        ),
        migrations.AddField(
            model_name="capture",
            name="captured_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="capture",
            name="visit",
            field=models.OneToOneField(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="capture", to="customers.visit"
            ),
        ),
        migrations.AddField(
            model_name="followup",
            name="assignee",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="follow_ups",
                to=settings.AUTH_USER_MODEL,
                verbose_name="assignee",
            ),
        ),
        migrations.AddField(
            model_name="followup",
            name="customer",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="follow_ups",
                to="customers.customer",
                verbose_name="customer",
            ),
        ),
        migrations.AddField(
            model_name="followup",
            name="visit",
            field=models.ForeignKey(
                blank=True,
                help_text="What it follows up; time to first contact is counted from there.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="follow_ups",
                to="customers.visit",
                verbose_name="visit",
            ),
        ),
        migrations.AddConstraint(
            model_name="tag",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="tag_name_not_blank"
            ),
        ),
        migrations.AddConstraint(
            model_name="tag",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Upper("name"),
                name="tag_unique_name",
                violation_error_message="This tag exists already.",
            ),
        ),
        migrations.AddField(
            model_name="customer",
            name="tags",
            field=models.ManyToManyField(blank=True, related_name="customers", to="customers.tag", verbose_name="tags"),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(fields=["due_at", "id"], name="follow_up_by_due"),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(
                condition=models.Q(("completed_at", None)), fields=["due_at", "id"], name="follow_up_open"
            ),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(
                condition=models.Q(("completed_at", None)),
                fields=["assignee", "due_at", "id"],
                name="follow_up_open_by_assignee",
            ),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(fields=["customer", "-due_at", "-id"], name="follow_up_by_customer"),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(fields=["visit", "completed_at"], name="follow_up_by_visit"),
        ),
        migrations.AddConstraint(
            model_name="followup",
            constraint=models.CheckConstraint(
                condition=models.Q(("channel__in", ("phone", "email", "meeting", "message", "post"))),
                name="follow_up_channel_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="followup",
            constraint=models.CheckConstraint(
                condition=models.Q(("priority__in", (1, 2, 3))), name="follow_up_priority_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="followup",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome__in", ("", "reached", "meeting", "quote", "no_answer", "declined"))),
                name="follow_up_outcome_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="followup",
            constraint=models.CheckConstraint(
                condition=models.Q(("outcome", ""), ("completed_at__isnull", False), _connector="OR"),
                name="follow_up_outcome_of_a_completed_one",
                violation_error_message="An open follow-up has no outcome yet: say when it was completed.",
            ),
        ),
    ]
