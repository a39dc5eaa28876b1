"""Creates .venv and installs a lock file into it: `python3 config/local/bootstrap.py requirements/local.txt`.

Uses the standard library only and syntax that Python 3.6 parses: it runs before anything is installed, with any
`python3`, to say what is missing.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig

MIN_VERSION = (3, 11)
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VENV = os.path.join(CHECKOUT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
LOG = os.path.join(CHECKOUT, ".local", "install.log")
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# Stored in the environment, which is created again after a change of Python's version or of the directory.
CREATED_FOR = f"{VENV}\nPython {VERSION}\n"

CHOOSE_PYTHON = "Choose another Python: make run PYTHON=python3.13"

NO_NETWORK = """Downloading the packages failed: the package index does not answer.
Check the network and, behind a proxy, HTTPS_PROXY; then run the same command again."""


def main(lock_file: str) -> None:
    if sys.version_info < MIN_VERSION:
        sys.exit(f"{sys.executable} is Python {VERSION}; 3.11 or newer is needed.\n{CHOOSE_PYTHON}")
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
    with open(LOG, "ab") as log:
        fcntl.flock(log, fcntl.LOCK_EX)  # `make run` and `make test` may start at the same time
        update_environment(lock_file)


def update_environment(lock_file: str) -> None:
    marker = os.path.join(VENV, "created-for")
    if not os.path.exists(PYTHON) or read(marker) != CREATED_FOR:
        create_environment()
        write(marker, CREATED_FOR)
    with open(lock_file, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    stamp = os.path.join(VENV, os.path.basename(lock_file) + ".installed")
    if read(stamp) != digest:
        write(stamp, "")  # an interrupted installation is repeated
        install(lock_file)
        write(stamp, digest)


def create_environment() -> None:
    print(f"Creating .venv with Python {VERSION}.", flush=True)
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            sys.exit(
                f"{sys.executable} lacks {module}, which virtual environments need.\n"
                f"On Debian and Ubuntu: apt install python{VERSION}-venv. {CHOOSE_PYTHON}"
            )
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", VENV])
    packages = subprocess.check_output([PYTHON, "-c", "import site; print(site.getsitepackages()[0])"])
    # Like an editable install, so that plain `pytest` finds the project.
    write(os.path.join(packages.decode().strip(), "checkout.pth"), CHECKOUT + "\n")


def install(lock_file: str) -> None:
    print(f"Installing {lock_file} (takes about half a minute).", flush=True)
    run([PYTHON, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r", lock_file])


def run(command: "list[str]") -> None:
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    with open(LOG, "wb") as log:
        code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=CHECKOUT, env=environment)
    if code:
        sys.exit(explain(read(LOG)))


def explain(output: str) -> str:
    if "connection broken" in output:
        return NO_NETWORK
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        return (
            f"{missing.group(1)} has no wheel for Python {VERSION} on {sysconfig.get_platform()}.\n"
            "There are wheels for Python 3.11 to 3.14 on Linux (glibc 2.28 or newer, so not Alpine) and\n"
            f"macOS 11 or newer, on x86-64 and ARM64. {CHOOSE_PYTHON}"
        )
    end = "\n".join(output.splitlines()[-15:])
    return f"The installation failed. Last lines of {LOG}:\n{end}"


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
        sys.exit("\nStopped; the next run continues from here.")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}. Does the checkout belong to another user?")
