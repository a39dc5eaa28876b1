"""A program that renders HTML as PDF in a process of its own, whose memory is limited; its parent limits the time.

Reads documents from standard input, each after its length in four bytes, and writes the PDFs in the same way. Imports
nothing of the project, so that it starts quickly.
"""

import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

LENGTH = struct.Struct("!I")
UNAVAILABLE = 3  # exit status
MEMORY = 1536 * 2**20  # bytes of address space, of which libraries take half
# Titles, headings, tables and pictures are tagged, so that a screen reader finds them: ISO 14289-1.
VARIANT = "pdf/ua-1"


def main() -> None:
    limit_memory()
    try:
        from weasyprint import HTML
        from weasyprint.text.fonts import FontConfiguration
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:  # OSError: Pango is missing
        print(error, file=sys.stderr)
        sys.exit(UNAVAILABLE)
    # A document has everything in it: nothing is fetched, neither from the network nor from the disk.
    fetcher = URLFetcher(allowed_protocols=("data",))
    fonts = FontConfiguration()  # one for all, because each keeps 200 kB for good
    while document := read_document(sys.stdin.buffer):
        pdf: Any = HTML(string=document, url_fetcher=fetcher).write_pdf(font_config=fonts, pdf_variant=VARIANT)
        sys.stdout.buffer.write(LENGTH.pack(len(pdf)) + pdf)
        sys.stdout.buffer.flush()


def limit_memory() -> None:
    if sys.platform == "linux":  # macOS has no limit of address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        # If the container runs out of memory nevertheless, it ends this process, and no worker. Some sandboxes lack the
        # file.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def read_document(stream: BinaryIO) -> str:
    """Return the next document, blank if there is none."""
    head = stream.read(LENGTH.size)
    return stream.read(*LENGTH.unpack(head)).decode() if head else ""


if __name__ == "__main__":
    main()
