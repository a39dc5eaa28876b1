"""Makes .venv and installs a lock into it: `python3 config/local/bootstrap.py requirements/local.txt`.

Standard library only, and syntax that Python 3.6 parses: it runs before anything is installed, on whatever
`python3` is, in order to say what is missing.
"""

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
# As long as this holds, the environment is usable; of another version, or moved, it is made anew.
MADE_FOR = "{}\nPython {}.{}\n".format(VENV, *sys.version_info)

NO_VENV = """{python} has no {module}, which makes virtual environments.
Debian and Ubuntu: apt install python{version[0]}.{version[1]}-venv
Elsewhere choose another Python: make run PYTHON=python3.13"""

NO_WHEEL = """{package} has no wheel for Python {version[0]}.{version[1]} on {platform}.
A local run works with Python 3.11 to 3.14 on Linux (glibc 2.28 or newer; not Alpine) and macOS 11 or newer,
on x86-64 and ARM64. Choose another Python with make run PYTHON=python3.13, or run it in a container."""

NO_NETWORK = """The packages could not be fetched: no answer from the package index.
Check the network and, behind a proxy, HTTPS_PROXY; then run the same command again."""


def main(lock):
    if sys.version_info < OLDEST:
        found = "{} is Python {}.{}".format(sys.executable, *sys.version_info)
        sys.exit(found + "; 3.11 or newer is needed.\nChoose another: make run PYTHON=python3.12")
    os.makedirs(os.path.dirname(LOG), exist_ok=True)
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


def make_environment():
    print("Making .venv with Python {}.{}.".format(*sys.version_info), flush=True)
    for module in ("venv", "ensurepip"):
        try:
            __import__(module)
        except ImportError:
            sys.exit(NO_VENV.format(python=sys.executable, module=module, version=sys.version_info))
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", VENV])
    packages = subprocess.check_output([PYTHON, "-c", "import site; print(site.getsitepackages()[0])"])
    # As an editable install would: plain `pytest` finds the project too.
    write(os.path.join(packages.decode().strip(), "checkout.pth"), CHECKOUT + "\n")


def install(lock):
    print(f"Installing {lock} (takes about half a minute).", flush=True)
    run([PYTHON, "-m", "pip", "install", "--require-hashes", "--only-binary", ":all:", "-r", lock])


def run(command):
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    with open(LOG, "wb") as log:
        code = subprocess.call(command, stdout=log, stderr=subprocess.STDOUT, cwd=CHECKOUT, env=environment)
    if code:
        sys.exit(explanation(read(LOG)))


def explanation(output):
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if "connection broken" in output or "Network is unreachable" in output:
        return NO_NETWORK
    if missing:
        platform = sysconfig.get_platform()
        return NO_WHEEL.format(package=missing.group(1), version=sys.version_info, platform=platform)
    end = "\n".join(output.splitlines()[-15:])
    return f"The installation failed. The end of {LOG}:\n{end}"


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit("\nStopped; the next run goes on from here.")
