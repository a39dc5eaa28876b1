"""Detection of a text file's encoding."""

import codecs
from typing import BinaryIO, NamedTuple

from django.utils.translation import gettext as _

from customers.importing.problems import ImportFileError

CHUNK = 2**20  # bytes
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


class Encoding(NamedTuple):
    name: str
    is_guess: bool = False

    def __str__(self) -> str:
        if self.is_guess:
            return _("Encoding %s (a guess: if the rows below look wrong, state another one)") % self.name
        return _("Encoding %s") % self.name


def detect_encoding(file: BinaryIO, stated: str = "") -> Encoding:
    """Return the encoding of the whole file: the stated one, otherwise the detected one.

    Reads the file in chunks. Raises ImportFileError with the line number if a part cannot be decoded.
    """
    encoding = check_encoding_name(stated) if stated else detect_unicode(file)
    is_guess = False
    failure = find_decode_failure(file, encoding or "utf-8")
    if failure and not encoding:
        if failure.after_non_ascii:
            raise ImportFileError(
                _(
                    "The file mixes encodings: line %s is not UTF-8, the lines before it are. "
                    "Save the file as UTF-8 or specify its encoding."
                )
                % failure.line
            )
        encoding, is_guess, failure = "cp1252", True, find_decode_failure(file, "cp1252")
    if failure:
        text = _("Line %(line)s is not valid %(encoding)s. Save the file as UTF-8 or specify its encoding.")
        raise ImportFileError(text % {"line": failure.line, "encoding": encoding})
    return Encoding(encoding or "utf-8", is_guess)


def check_encoding_name(name: str) -> str:
    try:
        "x".encode(name)  # fails for codecs that are not for text
    except (LookupError, UnicodeError):
        raise ImportFileError(_("Unknown encoding “%s”. Use a name such as utf-8 or windows-1252.") % name) from None
    return codecs.lookup(name).name


def detect_unicode(file: BinaryIO) -> str:
    """Detect Unicode by its byte order mark or by the NULs of UTF-16; return a blank string without either."""
    file.seek(0)
    head = file.read(64)
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    # Most letters of a header are ASCII, and in UTF-16 one of the two bytes of each is NUL.
    first, second = head[0::2].count(0), head[1::2].count(0)
    if max(first, second) * 4 > len(head) and min(first, second) == 0:
        return "utf-16-be" if first else "utf-16-le"
    return ""


class DecodeFailure(NamedTuple):
    line: int
    after_non_ascii: bool


def find_decode_failure(file: BinaryIO, encoding: str) -> DecodeFailure | None:
    """Return the first position that cannot be decoded, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line, non_ascii = 1, False
    file.seek(0)
    while True:
        chunk = file.read(CHUNK)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            text = error.object[: error.start].decode(encoding)
            return DecodeFailure(line + text.count("\n"), non_ascii or not text.isascii())
        if not chunk:
            return None
        line += text.count("\n")
        non_ascii = non_ascii or not text.isascii()
