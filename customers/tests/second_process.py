"""A second process of the application: reads customers on command, or writes one and is killed at once."""

import os
import signal
import sys
from pathlib import Path

import django


def main() -> None:
    django.setup()
    from customers.tests.cached_reading import read
    from customers.tests.cached_writing import Writers

    for line in sys.stdin:
        what, key, text = line.split()
        if what == "read":
            print(read(text, int(key)).decode(), flush=True)
        else:
            Writers([], Path()).by_update(int(key), text)
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
