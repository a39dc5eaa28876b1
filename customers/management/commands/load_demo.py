from typing import Any

from django.core.management.base import BaseCommand

from customers.demo import load_demo


class Command(BaseCommand):
    help = "Load real exhibitions and fictitious customers into an empty database."

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = load_demo()
        if options["verbosity"]:
            self.stdout.write("Demo loaded." if loaded else "Demo not loaded: the database is not empty.")
