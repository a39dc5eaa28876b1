"""Gives the project another name: `python3 config/rename.py "Acme Leads" acme-leads`.

Standard library only. It changes tracked files alone, so that `git diff` shows all it did, and this one among them.
"""

import re
import subprocess
import sys
from pathlib import Path

TITLE = "Exhibition CRM"  # pages, e-mails, documents
SLUG = "exhibition-crm"  # images, containers, volumes, networks
DEV_DATABASE = "exhibition_db_dev"
DATABASE = "exhibition"  # of the other tiers, and its role
# Where that word is the database; elsewhere it is the domain's.
DATABASE_FILES = re.compile(r"Makefile|(docker|deploy).*\.yml|config/(rename|local/postgresql)\.py|e2e/stack\.py")
KEPT = ("LICENSE",)  # it asks for its notice to stay as it is

CHECKOUT = Path(__file__).resolve().parent.parent
LONGEST = 30  # so that lines of code stay within 120 characters
TAKEN = ("none", "postgres", "public", "template0", "template1")  # PostgreSQL's own, as roles or databases


def faults(title: str, slug: str) -> list[str]:
    found = []
    if len(title) > LONGEST or not re.fullmatch(r"[^\W\d_][\w .-]*\w", title):
        found.append(
            f"NAME={title!r} cannot be a title: it takes up to {LONGEST} letters, digits, spaces, dots and hyphens, "
            'a letter first. Example: NAME="Acme Leads"'
        )
    if len(slug) > LONGEST or not re.fullmatch(r"(?!pg-)[a-z][a-z0-9]*(-[a-z0-9]+)*", slug) or slug in TAKEN:
        found.append(
            f"SLUG={slug!r} cannot name images and a database: it takes up to {LONGEST} lower-case letters, digits and "
            f"single hyphens, a letter first, but not pg- and none of {', '.join(TAKEN)}. Example: SLUG=acme-leads"
        )
    return found


def obstacles() -> list[str]:
    found = []
    if changes := git("status", "--porcelain"):
        found.append(f"The checkout has uncommitted changes. Commit or stash them first:\n{changes}")
    if (CHECKOUT / ".local/engines").exists():
        found.append(f"The local database has the name {DATABASE}. Remove it first, with its data: make clean")
    return found


def git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True).stdout.rstrip()


def renamed(text: str, path: str, title: str, slug: str) -> str:
    database = slug.replace("-", "_")
    names = {TITLE: title, SLUG: slug, DEV_DATABASE: f"{database}_db_dev"}
    text = re.sub("|".join(names), lambda found: names[found[0]], text)
    return re.sub(rf"(?<![\w-]){DATABASE}(?![\w-])", database, text) if DATABASE_FILES.fullmatch(path) else text


def rename(title: str, slug: str) -> None:
    for path in git("ls-files", "-z").rstrip("\0").split("\0"):
        file = CHECKOUT / path
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # pictures and compiled catalogues, which do not have the name
        if path not in KEPT and (new := renamed(text, path, title, slug)) != text:
            file.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    try:
        if found := faults(*sys.argv[1:]) or obstacles():
            sys.exit("\n".join(found))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"make rename needs Git, and a clone rather than an archive: {error}")
    rename(*sys.argv[1:])
    print("Renamed. git diff --stat lists the files. Next: make test, then git commit -a")
