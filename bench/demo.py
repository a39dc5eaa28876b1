"""Adds many invented customers with companies, visits and follow-ups: `python -m bench.demo 100000`.

While it works, constraints, indexes and triggers of the tables are laid aside: only for a database of nobody's data.
"""

import sys
import time

import django

django.setup()

from django.db.models import Q  # noqa: E402 - models need the set-up

from bench.filling import fill  # noqa: E402
from customers.models import Customer  # noqa: E402

MOST = 10_000_000
INVENTED = Q(email="") | Q(email__endswith=".example") | Q(email__endswith="@example.com")


def main(argument: str) -> None:
    """Exits with a message for a number that cannot be, and for a database with customers that nobody invented."""
    if not argument.isdecimal() or not 1 <= int(argument) <= MOST:
        sys.exit(f"{argument} is not a number of customers from 1 to {MOST}.")
    real = Customer.objects.exclude(INVENTED).first()
    if real:
        sys.exit(
            f"Nothing was added: customer {real.pk} was not invented here. Use a database of its own (DATABASE_URL)."
        )
    start = time.monotonic()
    try:
        rows = fill(int(argument))
    except KeyboardInterrupt:
        sys.exit("Interrupted: nothing was added.")
    seconds = time.monotonic() - start
    print(f"Added {rows:,} rows in {seconds:.1f} s: {rows / seconds:,.0f} a second, indexes included.")


if __name__ == "__main__":
    main(sys.argv[1])
