"""Tells the encoding of a text file from its bytes."""

import codecs
from typing import BinaryIO, NamedTuple

from customers.importing.problems import CannotImport

CHUNK = 2**20  # bytes
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def encoding_of(file: BinaryIO, stated: str = "") -> str:
    """The encoding that the whole file is in: the stated one, or else what its bytes tell.

    Reads the file once from end to end, a chunk at a time. Raises CannotImport where the file leaves its encoding,
    naming the line.
    """
    encoding = known_encoding(stated) if stated else marked_encoding(file)
    fault = undecodable(file, encoding or "utf-8")
    if fault and not encoding:
        if fault.after_letters:
            raise CannotImport(
                f"The file holds two encodings: it is UTF-8 up to line {fault.line}, which is not. "
                "Save it again as UTF-8, or state its encoding."
            )
        encoding, fault = "cp1252", undecodable(file, "cp1252")
    if fault:
        raise CannotImport(f"Line {fault.line} is not in {encoding}. Save the file as UTF-8, or state its encoding.")
    return encoding or "utf-8"


def known_encoding(name: str) -> str:
    try:
        "x".encode(name)  # refuses codecs that are not for text
    except (LookupError, UnicodeError):
        raise CannotImport(f"“{name}” is not the name of an encoding such as utf-8 or windows-1252.") from None
    return codecs.lookup(name).name


def marked_encoding(file: BinaryIO) -> str:
    """What the byte order mark says or, without one, the NULs of UTF-16; blank where there is neither."""
    file.seek(0)
    head = file.read(64)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    # Most letters of a header are ASCII, and UTF-16 fills up each of them with a NUL.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if max(first, second) * 4 > len(head) and min(first, second) == 0:
        return "utf-16-be" if first else "utf-16-le"
    return ""


class Undecodable(NamedTuple):
    line: int
    after_letters: bool  # beyond ASCII


def undecodable(file: BinaryIO, encoding: str) -> Undecodable | None:
    """The first place that is not in the encoding; None where the whole file is."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, letters = 1, False
    file.seek(0)
    while True:
        chunk = file.read(CHUNK)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            text = error.object[: error.start].decode(encoding)
            return Undecodable(line + text.count("\n"), letters or not text.isascii())
        if not chunk:
            return None
        line += text.count("\n")
        letters = letters or not text.isascii()
