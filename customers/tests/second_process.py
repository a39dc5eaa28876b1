"""Another process of the application: reads and writes customers as each line tells it, and says what it read."""

import sys
from pathlib import Path

import django


def main(lease: float, distrust: float) -> None:
    django.setup()
    from core_apps.common import caching
    from core_apps.common.breaker import Breaker
    from core_apps.common.versioned_cache import store, writing
    from customers.tests.cached_reading import read
    from customers.tests.cached_writing import Writers

    store.LEASE, writing.DISTRUST = lease, distrust
    caching.BREAKER = Breaker(pause=0.05, trial=1, probe=caching.ask_redis)
    writers = Writers([], Path())
    for line in sys.stdin:
        what, key, text = line.split()
        if what == "read":
            print(read(text, int(key)).decode(), flush=True)
        else:
            writers.paths[what](int(key), text)
            print("null", flush=True)


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
