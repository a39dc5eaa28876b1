import uuid
from typing import Any

import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core_apps.common.fields
import core_apps.common.time_zones
import customers.models.customer
from core_apps.accounts.roles import grant

FUNCTIONS = r"""
CREATE FUNCTION customers_write_company_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_text := public.folded(' ' || NEW.name || ' ' || NEW.domain);
    RETURN NEW;
END
$$;

-- A space precedes each word. E.164 contains all digits of a valid number.
CREATE FUNCTION customers_write_customer_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.search_text := public.folded(concat_ws(' ', '', NEW.given_name, NEW.family_name, NEW.email,
        regexp_replace(CASE NEW.phone_e164 WHEN '' THEN NEW.phone ELSE NEW.phone_e164 END, '\D', '', 'g'),
        (SELECT name FROM public.customers_company WHERE id = NEW.company_id)));
    RETURN NEW;
END
$$;

-- An UPDATE of the column makes the trigger rewrite it.
CREATE FUNCTION customers_rename_employer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE public.customers_customer SET search_text = '' WHERE company_id = NEW.id;
    RETURN NULL;
END
$$;
"""
TRIGGERS = """
CREATE TRIGGER company_search_text BEFORE INSERT OR UPDATE OF name, domain, search_text ON customers_company
    FOR EACH ROW EXECUTE FUNCTION customers_write_company_search_text();
CREATE TRIGGER customer_search_text BEFORE INSERT
    OR UPDATE OF given_name, family_name, email, phone, phone_e164, company_id, search_text ON customers_customer
    FOR EACH ROW EXECUTE FUNCTION customers_write_customer_search_text();
CREATE TRIGGER company_renamed AFTER UPDATE OF name ON customers_company
    FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION customers_rename_employer();
"""
# The planner then tells a word that one in a thousand customers has from one that one in a hundred has, and chooses
# between the index of words and that of the order.
STATISTICS = "ALTER TABLE customers_customer ALTER COLUMN search_text SET STATISTICS 1000"

VIEW = (
    "view_company",
    "view_customer",
    "view_exhibition",
    "view_followup",
    "view_tag",
    "view_visit",
    "view_user",
)
# API tokens are made by each person for themselves; the admin shows everybody their own.
TOKENS = ("add_apitoken", "view_apitoken", "delete_apitoken")
STAND = (
    *("add_customer", "change_customer", "add_visit", "change_visit", "add_followup", "change_followup"),
    "add_company",
)
MANAGER = (
    *("change_company", "add_exhibition", "change_exhibition", "add_tag", "change_tag", "delete_tag"),
    *("delete_customer", "delete_company", "delete_visit", "delete_followup"),
    *("view_every_customer", "export_customer"),
)
ROLES = {
    "Administrator": (*VIEW, *TOKENS, *STAND, *MANAGER, "delete_exhibition", "add_user", "change_user", "view_group"),
    "Manager": (*VIEW, *TOKENS, *STAND, *MANAGER),
    "Stand staff": (*VIEW, *TOKENS, *STAND),
    "Read-only": (*VIEW, *TOKENS, "view_every_customer"),
}


def create_roles(apps: Any, schema_editor: Any) -> None:
    grant(apps, ROLES)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("big_lists", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Company",
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
                    "public_id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        editable=False,
                        help_text="Names it in URLs.",
                        unique=True,
                        verbose_name="public id",
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "domain",
                    models.CharField(
                        blank=True,
                        max_length=253,
                        validators=[
                            django.core.validators.DomainNameValidator(
                                message="“%(value)s” is not a web domain such as example.com."
                            )
                        ],
                        verbose_name="web domain",
                    ),
                ),
                ("country", core_apps.common.fields.CountryField(verbose_name="country")),
                ("industry", models.CharField(blank=True, max_length=100, verbose_name="industry")),
                ("website", core_apps.common.fields.WebAddressField(blank=True, verbose_name="website")),
                (
                    "search_text",
                    models.TextField(
                        blank=True,
                        db_default="",
                        editable=False,
                        help_text="Set by a database trigger: name and domain.",
                    ),
                ),
            ],
            options={
                "verbose_name": "company",
                "verbose_name_plural": "companies",
                "ordering": ("name", "pk"),
                "indexes": [
                    models.Index(fields=["name", "id"], name="company_by_name"),
                    models.Index(django.db.models.functions.text.Upper("name"), name="company_by_upper_name"),
                    models.Index(fields=["country", "name"], name="company_by_country"),
                    models.Index(fields=["industry", "name"], name="company_by_industry"),
                    django.contrib.postgres.indexes.GinIndex(
                        django.contrib.postgres.indexes.OpClass("search_text", "gin_trgm_ops"),
                        name="company_by_search_text",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="company_name_not_blank"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("domain", ""),
                            models.Q(
                                ("domain", django.db.models.functions.text.Lower(models.F("domain"))),
                                ("domain__regex", "^[^\\s/@:]+\\.[^\\s/@:]+$"),
                            ),
                            _connector="OR",
                        ),
                        name="company_domain_is_a_lower_case_domain",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("country", ""), ("country__regex", "^[A-Z]{2}$"), _connector="OR"),
                        name="company_country_is_a_code",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("website", ""), ("website__regex", "(?i)^https?://"), _connector="OR"),
                        name="company_website_is_a_web_address",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("domain", ""), _negated=True),
                        fields=("domain",),
                        name="company_unique_domain",
                        violation_error_message="A company with this web domain already exists.",
                    ),
                    models.UniqueConstraint(
                        django.db.models.functions.text.Upper("name"),
                        models.F("country"),
                        condition=models.Q(("domain", "")),
                        name="company_unique_name_without_domain",
                        violation_error_message="A company with this name and no web domain already exists in this country.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Exhibition",
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
                    "public_id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        editable=False,
                        help_text="Names it in URLs.",
                        unique=True,
                        verbose_name="public id",
                    ),
                ),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "edition",
                    models.CharField(
                        blank=True,
                        help_text="For example the year: 2027.",
                        max_length=50,
                        verbose_name="edition",
                    ),
                ),
                ("venue", models.CharField(blank=True, max_length=200, verbose_name="venue")),
                ("city", models.CharField(blank=True, max_length=100, verbose_name="city")),
                ("country", core_apps.common.fields.CountryField(verbose_name="country")),
                (
                    "time_zone",
                    core_apps.common.time_zones.TimeZoneField(
                        default="UTC",
                        help_text="IANA name: Europe/Berlin.",
                        max_length=50,
                        verbose_name="time zone",
                    ),
                ),
                ("starts_on", models.DateField(verbose_name="first day")),
                ("ends_on", models.DateField(verbose_name="last day")),
                ("website", core_apps.common.fields.WebAddressField(blank=True, verbose_name="website")),
                ("industry", models.CharField(blank=True, max_length=100, verbose_name="industry")),
                (
                    "staff",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Who works at our stand. Stand staff see the customers and visits of their exhibitions only.",
                        related_name="exhibitions",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="stand staff",
                    ),
                ),
            ],
            options={
                "verbose_name": "exhibition",
                "verbose_name_plural": "exhibitions",
                "ordering": ("-starts_on", "-pk"),
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
                (
                    "public_id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        editable=False,
                        help_text="Names it in URLs.",
                        unique=True,
                        verbose_name="public id",
                    ),
                ),
                ("name", models.CharField(max_length=50, verbose_name="name")),
            ],
            options={
                "verbose_name": "tag",
                "verbose_name_plural": "tags",
                "ordering": ("name", "pk"),
                "indexes": [models.Index(fields=["name", "id"], name="tag_by_name")],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="tag_name_not_blank"),
                    models.UniqueConstraint(
                        django.db.models.functions.text.Upper("name"),
                        name="tag_unique_name",
                        violation_error_message="This tag already exists.",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Customer",
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
                    "public_id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        editable=False,
                        help_text="Names it in URLs.",
                        unique=True,
                        verbose_name="public id",
                    ),
                ),
                ("given_name", models.CharField(blank=True, max_length=100, verbose_name="given name")),
                ("family_name", models.CharField(blank=True, max_length=100, verbose_name="family name")),
                (
                    "email",
                    core_apps.common.fields.LowercaseEmailField(blank=True, max_length=254, verbose_name="e-mail"),
                ),
                (
                    "phone",
                    models.CharField(
                        blank=True,
                        help_text="Any format; without +, in the customer's country.",
                        max_length=50,
                        verbose_name="phone",
                    ),
                ),
                (
                    "phone_e164",
                    models.CharField(blank=True, editable=False, max_length=16, verbose_name="phone (E.164)"),
                ),
                ("job_title", models.CharField(blank=True, max_length=150, verbose_name="job title")),
                ("country", core_apps.common.fields.CountryField(verbose_name="country")),
                (
                    "stage",
                    models.CharField(
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
                (
                    "source",
                    models.CharField(
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
                ("notes", models.TextField(blank=True, max_length=10000, verbose_name="notes")),
                (
                    "photo",
                    models.ImageField(
                        blank=True,
                        max_length=60,
                        upload_to=customers.models.customer.photo_path,
                        validators=[django.core.validators.validate_image_file_extension],
                        verbose_name="photo",
                    ),
                ),
                ("archived_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="archived")),
                (
                    "search_text",
                    models.TextField(
                        blank=True,
                        db_default="",
                        editable=False,
                        help_text="Set by a database trigger: names, e-mail, digits of the phone number, company.",
                    ),
                ),
                (
                    "company",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="customers",
                        to="customers.company",
                        verbose_name="company",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        help_text="The colleague responsible for the customer.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="customers",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "tags",
                    models.ManyToManyField(
                        blank=True, related_name="customers", to="customers.tag", verbose_name="tags"
                    ),
                ),
            ],
            options={
                "verbose_name": "customer",
                "verbose_name_plural": "customers",
                "ordering": ("-created_at", "-pk"),
                "permissions": (
                    ("view_every_customer", "Can see the customers, visits and follow-ups of every exhibition"),
                    ("export_customer", "Can export customers"),
                ),
            },
        ),
        migrations.CreateModel(
            name="Visit",
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
                    "public_id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        editable=False,
                        help_text="Names it in URLs.",
                        unique=True,
                        verbose_name="public id",
                    ),
                ),
                ("visited_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="visited at")),
                (
                    "stand",
                    models.CharField(
                        blank=True, help_text="Hall and number: 7.1 C042.", max_length=50, verbose_name="stand"
                    ),
                ),
                (
                    "grade",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("A", "A: buys soon"),
                            ("B", "B: interested"),
                            ("C", "C: later"),
                            ("D", "D: no business"),
                        ],
                        max_length=1,
                        verbose_name="grade",
                    ),
                ),
                (
                    "interests",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=60),
                        blank=True,
                        default=list,
                        help_text="Comma-separated.",
                        size=None,
                        verbose_name="interests",
                    ),
                ),
                ("note", models.TextField(blank=True, max_length=10000, verbose_name="note")),
                (
                    "captured_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="captured_visits",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="captured by",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="visits",
                        to="customers.customer",
                        verbose_name="customer",
                    ),
                ),
                (
                    "exhibition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="visits",
                        to="customers.exhibition",
                        verbose_name="exhibition",
                    ),
                ),
            ],
            options={
                "verbose_name": "visit",
                "verbose_name_plural": "visits",
                "ordering": ("-visited_at", "-pk"),
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
                    "public_id",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        editable=False,
                        help_text="Names it in URLs.",
                        unique=True,
                        verbose_name="public id",
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
                    models.TextField(blank=True, help_text="What to do.", max_length=10000, verbose_name="note"),
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
                (
                    "assignee",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="follow_ups",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="assignee",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="follow_ups",
                        to="customers.customer",
                        verbose_name="customer",
                    ),
                ),
                (
                    "visit",
                    models.ForeignKey(
                        blank=True,
                        help_text="The visit it follows up; the time to first contact is measured from it.",
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="follow_ups",
                        to="customers.visit",
                        verbose_name="visit",
                    ),
                ),
            ],
            options={
                "verbose_name": "follow-up",
                "verbose_name_plural": "follow-ups",
                "ordering": ("due_at", "pk"),
            },
        ),
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
                (
                    "captured_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "visit",
                    models.OneToOneField(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="capture",
                        to="customers.visit",
                    ),
                ),
            ],
            options={
                "verbose_name": "capture",
                "verbose_name_plural": "captures",
            },
        ),
        migrations.AddIndex(
            model_name="exhibition",
            index=models.Index(fields=["-starts_on", "-id"], name="exhibition_newest_first"),
        ),
        migrations.AddIndex(
            model_name="exhibition",
            index=models.Index(fields=["country", "starts_on"], name="exhibition_by_country"),
        ),
        migrations.AddIndex(
            model_name="exhibition",
            index=models.Index(fields=["industry", "starts_on"], name="exhibition_by_industry"),
        ),
        migrations.AddConstraint(
            model_name="exhibition",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="exhibition_name_not_blank"
            ),
        ),
        migrations.AddConstraint(
            model_name="exhibition",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_on__gte", models.F("starts_on"))),
                name="exhibition_ends_after_it_starts",
                violation_error_message="The last day is before the first day.",
            ),
        ),
        migrations.AddConstraint(
            model_name="exhibition",
            constraint=models.CheckConstraint(
                condition=models.Q(("country", ""), ("country__regex", "^[A-Z]{2}$"), _connector="OR"),
                name="exhibition_country_is_a_code",
            ),
        ),
        migrations.AddConstraint(
            model_name="exhibition",
            constraint=models.CheckConstraint(
                condition=models.Q(("time_zone", ""), _negated=True), name="exhibition_time_zone_not_blank"
            ),
        ),
        migrations.AddConstraint(
            model_name="exhibition",
            constraint=models.CheckConstraint(
                condition=models.Q(("website", ""), ("website__regex", "(?i)^https?://"), _connector="OR"),
                name="exhibition_website_is_a_web_address",
            ),
        ),
        migrations.AddConstraint(
            model_name="exhibition",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Upper("name"),
                django.db.models.functions.text.Upper("edition"),
                name="exhibition_unique_edition",
                violation_error_message="This edition of the exhibition already exists.",
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["-created_at", "-id"], name="customer_newest_first"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["family_name", "given_name", "id"], name="customer_by_name"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                django.db.models.functions.text.Upper("family_name"),
                django.db.models.functions.text.Upper("given_name"),
                models.F("company"),
                name="customer_by_natural_key",
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("email", ""), _negated=True), fields=["email"], name="customer_by_email"
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("phone_e164", ""), _negated=True), fields=["phone_e164"], name="customer_by_phone"
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["stage", "-created_at", "-id"], name="customer_by_stage"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["source", "-created_at", "-id"], name="customer_by_source"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["country", "-created_at", "-id"], name="customer_by_country"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(fields=["owner", "stage", "-created_at", "-id"], name="customer_by_owner"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("photo", ""), _negated=True), fields=["photo"], name="customer_by_photo"
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("archived_at__isnull", False)), fields=["-archived_at"], name="customer_archived"
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=django.contrib.postgres.indexes.GinIndex(
                django.contrib.postgres.indexes.OpClass("search_text", "gin_trgm_ops"), name="customer_by_search_text"
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("email", ""), ("family_name", ""), ("given_name", ""), ("phone", ""), _negated=True
                ),
                name="customer_has_a_name_an_email_or_a_phone",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower(models.F("email")))),
                name="customer_email_lower_case",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("phone_e164", ""), ("phone_e164__regex", "^\\+[1-9][0-9]{1,14}$"), _connector="OR"),
                name="customer_phone_e164_form",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("phone_e164", ""), models.Q(("phone", ""), _negated=True), _connector="OR"),
                name="customer_phone_e164_comes_from_phone",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("country", ""), ("country__regex", "^[A-Z]{2}$"), _connector="OR"),
                name="customer_country_is_a_code",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("stage__in", ("lead", "prospect", "customer", "inactive"))),
                name="customer_stage_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("source__in", ("stand", "import", "website", "referral", "other"))),
                name="customer_source_known",
            ),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["-visited_at", "-id"], name="visit_newest_first"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["exhibition", "-visited_at", "-id"], name="visit_by_exhibition"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(
                fields=["exhibition"], include=("id", "visited_at", "grade", "captured_by"), name="visit_tally"
            ),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["exhibition", "customer"], name="visit_by_exhibition_met"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["customer", "-visited_at", "-id"], name="visit_by_customer"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["grade", "-visited_at", "-id"], name="visit_by_grade"),
        ),
        migrations.AddIndex(
            model_name="visit",
            index=models.Index(fields=["captured_by", "-visited_at"], name="visit_by_captured_by"),
        ),
        migrations.AddConstraint(
            model_name="visit",
            constraint=models.CheckConstraint(
                condition=models.Q(("grade__in", ("", "A", "B", "C", "D"))), name="visit_grade_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="visit",
            constraint=models.UniqueConstraint(
                fields=("customer", "exhibition", "visited_at"),
                name="visit_once_at_a_time",
                violation_error_message="This visit is already recorded.",
            ),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(fields=["due_at", "id"], name="follow_up_by_due"),
        ),
        migrations.AddIndex(
            model_name="followup",
            index=models.Index(
                condition=models.Q(("completed_at", None)),
                fields=["due_at", "id"],
                include=("customer", "visit", "assignee"),
                name="follow_up_open_by_due",
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
                violation_error_message="An open follow-up cannot have an outcome. Enter when it was completed.",
            ),
        ),
        migrations.RunSQL(
            FUNCTIONS,
            "DROP FUNCTION customers_write_company_search_text, customers_write_customer_search_text,"
            " customers_rename_employer CASCADE",
        ),
        migrations.RunSQL(TRIGGERS, migrations.RunSQL.noop),
        migrations.RunSQL(STATISTICS, migrations.RunSQL.noop),
        migrations.RunPython(create_roles, migrations.RunPython.noop),
    ]
