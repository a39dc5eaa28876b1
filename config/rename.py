"""Gives the project another name: `python3 config/rename.py "Acme Leads" acme-leads`.

Uses the standard library only. It changes nothing but tracked files (including this one), so `git diff` shows it all.
"""

import re
import subprocess
import sys
from pathlib import Path

TITLE = "Exhibition CRM"  # pages, e-mails, documents
SLUG = "exhibition-crm"  # images, containers, volumes, networks
DEV_DATABASE = "exhibition_db_dev"
DATABASE = "exhibition"  # database and role of the other tiers
# In these files the word means the database; elsewhere it is an exhibition.
DATABASE_FILES = re.compile(r"Makefile|(docker|deploy).*\.yml|config/(rename|local/postgresql)\.py|e2e/stack\.py")
UNCHANGED = ("LICENSE",)  # the licence requires its notice to be kept

CHECKOUT = Path(__file__).resolve().parent.parent
MAX_LENGTH = 30  # keeps lines of code within 120 characters
RESERVED = ("none", "postgres", "public", "template0", "template1")  # roles and databases of PostgreSQL


def find_invalid_arguments(title: str, slug: str) -> list[str]:
    found = []
    if len(title) > MAX_LENGTH or not re.fullmatch(r"[^\W\d_][\w .-]*\w", title):
        found.append(
            f"NAME={title!r} is not a valid title: up to {MAX_LENGTH} letters, digits, spaces, dots and hyphens, "
            'starting with a letter. Example: NAME="Acme Leads"'
        )
    if len(slug) > MAX_LENGTH or not re.fullmatch(r"(?!pg-)[a-z][a-z0-9]*(-[a-z0-9]+)*", slug) or slug in RESERVED:
        found.append(
            f"SLUG={slug!r} is not a valid name: up to {MAX_LENGTH} lower-case letters, digits and single hyphens, "
            f"starting with a letter but not with pg-, and not {', '.join(RESERVED)}. Example: SLUG=acme-leads"
        )
    return found


def find_obstacles() -> list[str]:
    found = []
    if changes := git("status", "--porcelain"):
        found.append(f"The checkout has uncommitted changes. Commit or stash them first:\n{changes}")
    if (CHECKOUT / ".local/engines").exists():
        found.append(f"The local database has the name {DATABASE}. Remove it first, with its data: make clean")
    return found


def git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=CHECKOUT, check=True, stdout=subprocess.PIPE, text=True).stdout.rstrip()


def replace_names(text: str, path: str, title: str, slug: str) -> str:
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
            continue  # images and compiled catalogues, which do not contain the name
        if path not in UNCHANGED and (new := replace_names(text, path, title, slug)) != text:
            file.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    try:
        if found := find_invalid_arguments(*sys.argv[1:]) or find_obstacles():
            sys.exit("\n".join(found))
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"make rename needs Git, and a clone rather than an archive: {error}")
    rename(*sys.argv[1:])
    print("Renamed. git diff --stat lists the files. Next: make test, then git commit -a")
