"""Adds many generated customers with companies, visits and follow-ups: `python -m bench.demo 100000`.

While it works, constraints, indexes and triggers of the tables are laid aside: only for a database of nobody's data.
"""

import sys
import time

import django

django.setup()

from django.db.models import Q  # noqa: E402 - models need the set-up

from bench.fill import fill  # noqa: E402
from customers.models import Customer  # noqa: E402

MAX_CUSTOMERS = 10_000_000
GENERATED = Q(email="") | Q(email__endswith=".example") | Q(email__endswith="@example.com")


def main(argument: str) -> None:
    """Exit with a message if the number is invalid or the database contains real customers."""
    if not argument.isdecimal() or not 1 <= int(argument) <= MAX_CUSTOMERS:
        sys.exit(f"Give a number of customers from 1 to {MAX_CUSTOMERS}, not {argument!r}: make demo CUSTOMERS=100000")
    real = Customer.objects.exclude(GENERATED).first()
    if real:
        sys.exit(f"Nothing was added: customer {real.pk} is not a generated one. Use another database (DATABASE_URL).")
    start = time.monotonic()
    try:
        rows = fill(int(argument))
    except KeyboardInterrupt:
        sys.exit("Interrupted: nothing was added.")
    seconds = time.monotonic() - start
    print(f"Added {rows:,} rows in {seconds:.1f} s: {rows / seconds:,.0f} a second, indexes included.")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
