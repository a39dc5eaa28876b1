"""Makes .venv and installs a lock into it: `python3 config/local/bootstrap.py requirements/local.txt`.

Standard library only, and syntax that Python 3.6 parses: it runs before anything is installed, on whatever
`python3` is, to say what is missing.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig

OLDEST = (3, 11)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(CHECKOUT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
LOG = os.path.join(CHECKOUT, ".local", "install.log")
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# While this holds, the environment is usable; of another version, or moved, it is made anew.
MADE_FOR = f"{VENV}\nPython {VERSION}\n"

CHOOSE = "Choose another Python: make run PYTHON=python3.13"

NO_NETWORK = """The packages could not be fetched: the package index does not answer.
Check the network and, behind a proxy, HTTPS_PROXY; then run the same command again."""


def main(lock: str) -> None:
    if sys.version_info < OLDEST:
        sys.exit(f"{sys.executable} is Python {VERSION}; 3.11 or newer is needed.\n{CHOOSE}")
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    with open(LOG, "ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # `make run` and `make test` may be started side by side
        ensure(lock)


def ensure(lock: str) -> None:
    made = os.path.join(VENV, "made-for")
    if not os.path.exists(PYTHON) or read(made) != MADE_FOR:
        make_environment()
        write(made, MADE_FOR)
    with open(lock, "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    stamp = os.path.join(VENV, os.path.basename(lock) + ".installed")
    if read(stamp) != wanted:
        write(stamp, "")  # whatever happens from here on, the next run installs again
        install(lock)
        write(stamp, wanted)


def make_environment() -> None:
    print(f"Making .venv with Python {VERSION}.", flush=True)
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            sys.exit(
                f"{sys.executable} has no {module}, which makes virtual environments.\n"
                f"On Debian and Ubuntu: apt install python{VERSION}-venv. {CHOOSE}"
            )
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", VENV])
    packages = subprocess.check_output([PYTHON, "-c", "import site; print(site.getsitepackages()[0])"])
    # As an editable install would: plain `pytest` finds the project too.
    write(os.path.join(packages.decode().strip(), "checkout.pth"), CHECKOUT + "\n")


def install(lock: str) -> None:
    print(f"Installing {lock} (takes about half a minute).", flush=True)
    run([PYTHON, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r", lock])


def run(command: "list[str]") -> None:
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    with open(LOG, "wb") as log:
        code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=CHECKOUT, env=environment)
    if code:
        sys.exit(explanation(read(LOG)))


def explanation(output: str) -> str:
    if "connection broken" in output:
        return NO_NETWORK
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return (
            f"{missing.group(1)} has no wheel for Python {VERSION} on {sysconfig.get_platform()}.\n"
            "There are wheels for Python 3.11 to 3.14 on Linux (glibc 2.28 or newer, so not Alpine) and\n"
            f"macOS 11 or newer, on x86-64 and ARM64. {CHOOSE}"
        )
    end = "\n".join(output.splitlines()[-15:])
    return f"The installation failed. The end of {LOG}:\n{end}"


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("\nStopped; the next run goes on from here.")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}. Does the checkout belong to another user?")
