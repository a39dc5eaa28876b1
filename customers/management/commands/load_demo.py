from typing import Any

from django.core.management.base import BaseCommand

from customers.demo import load_demo


class Command(BaseCommand):
    help = "Loads real exhibitions and invented customers into an empty database."

    def handle(self, *args: Any, **options: Any) -> None:
        loaded = load_demo()
        if options["verbosity"]:
            self.stdout.write("Loaded the demo." if loaded else "Left the demo out: the database is not empty.")
