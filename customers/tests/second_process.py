"""Another process of the application: answers each line, a key and a primary key, with what its cache says."""

import sys

import django


def main() -> None:
    django.setup()
    from core_apps.common.versioned_cache import store, writing
    from customers.tests.cached_reading import read

    store.LEASE, writing.DISTRUST = (float(argument) for argument in sys.argv[1:])
    for line in sys.stdin:
        key, pk = line.split()
        sys.stdout.write(read(key, int(pk)).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
