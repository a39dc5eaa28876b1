import os
import subprocess
import sys
from pathlib import Path

import pytest

from customers.importing.delimited import DELIMITERS
from customers.importing.encoding import CHUNK
from customers.importing.formats import open_records
from customers.importing.problems import ImportFileError
from customers.importing.records import Record

HEADER = ["Name", "Größe"]
RECORDS = [Record(2, ["Müller", "“7”"]), Record(3, ["Žižka", ""])]


NAMES = {"name", "größe", "email"}  # as if they were headers of fields


def read(path: Path, encoding: str = "") -> tuple[str, list[str], list[Record]]:
    with open_records(path, encoding, NAMES) as records:
        return records.description, records.header, list(records)


def read_error(path: Path, encoding: str = "") -> str:
    with pytest.raises(ImportFileError) as caught:
        read(path, encoding)
    return str(caught.value)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "companies.csv"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("written", "mark", "detected"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", b"\xef\xbb\xbf", "utf-8"),
        ("utf-16-le", b"\xff\xfe", "utf-16-le"),
        ("utf-16-be", b"\xfe\xff", "utf-16-be"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
        ("cp1252", b"", "cp1252 (a guess: if the rows below look wrong, state another one)"),
    ],
)
def test_encoding_and_delimiter_are_detected(written, mark, detected, delimiter, file):
    text = "Name,Größe\r\nMüller,“7”\r\nŽižka,\r\n".replace(",", delimiter)
    file.write_bytes(mark + text.encode(written))

    assert read(file) == (f"Encoding {detected}, delimiter {DELIMITERS[delimiter]}", HEADER, RECORDS)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(end, file):
    file.write_bytes(end.join(["Name,Größe", "Müller,“7”", "Žižka,"]).encode())

    assert read(file)[1:] == (HEADER, RECORDS)


def test_stated_encoding_wins(file):
    file.write_bytes("name,city\nŽižka,Łódź".encode("cp1250"))

    assert read(file, "windows-1250")[1:] == (["name", "city"], [Record(2, ["Žižka", "Łódź"])])


def test_delimiters_inside_quotes_do_not_count(file):
    file.write_text('"City, Country, Planet";Name\nOslo;Nordlys\n')

    assert read(file)[1:] == (["City, Country, Planet", "Name"], [Record(2, ["Oslo", "Nordlys"])])


def test_record_over_several_lines_has_the_line_it_starts_at(file):
    file.write_text('name,notes\n\nA,"one\ntwo\n"\nB,three\n')

    assert read(file)[2] == [Record(3, ["A", "one\ntwo\n"]), Record(6, ["B", "three"])]


def test_spaces_after_delimiters_and_blank_headers_at_the_end_are_dropped(file):
    file.write_text('id, given name , ,\n1, "Ann, B.",\n')

    assert read(file)[1:] == (["id", "given name"], [Record(2, ["1", "Ann, B.", ""])])


UNUSABLE = {
    "empty": (b"", "The file is empty."),
    "mark only": (b"\xef\xbb\xbf", "The file is empty."),
    "blank lines": (b"\n \n\n", "The file is empty."),
    "delimiters only": (b",,,\n,,\n", "The file is empty."),
    "quote at the start": (b'name\n"Nordlys\nFjord\n', "The record at line 2 has an unclosed quote."),
    "quote at the end": (b'name\nNordlys\n"Fjord\n', "The record at line 3 has an unclosed quote."),
    "text after a quote": (
        b'name,country\nNordlys,NO\n"Fjord" Fisk,NO\n',
        "The record at line 3 has invalid quotes: ',' expected after '\"'.",
    ),
    "quote over a long file": (
        b'name\n"Nordlys\n' + b"Fjord\n" * 30_000,
        "The record at line 2 has a cell of more than 131,072 characters. Is a quote unclosed?",
    ),
    "long record": (
        b"name\n" + b"," * 2**20 + b"\n",
        "The record at line 2 is longer than 1,048,576 characters.",
    ),
    "million columns": (
        b",".join(b"c%d" % number for number in range(1_000_000)),
        "The record at line 1 is longer than 1,048,576 characters.",
    ),
    "many columns": (
        b",".join(b"c%d" % number for number in range(1_001)),
        "The header has 1,001 columns; the limit is 1,000.",
    ),
    "NUL": (
        b"name\nNordlys\nFj\0rd\n",
        "Line 3 contains a NUL character: the file is not a text file, or it is damaged.",
    ),
    "NULs only": (
        b"\0" * 5_000,
        "Line 1 contains a NUL character: the file is not a text file, or it is damaged.",
    ),
    "two encodings": (
        "name\nMüller\n".encode() + "Müller\n".encode("cp1252"),
        "The file mixes encodings: line 3 is not UTF-8, the lines before it are. "
        "Save the file as UTF-8 or specify its encoding.",
    ),
    "two encodings far apart": (
        "name\nMüller\n".encode() + b"Nordlys\n" * CHUNK + "Müller\n".encode("cp1252"),
        f"The file mixes encodings: line {3 + CHUNK:d} is not UTF-8, the lines before it are. "
        "Save the file as UTF-8 or specify its encoding.",
    ),
    "half a letter at the end": (
        "name\nMüller\nÆrø".encode()[:-1],
        "The file mixes encodings: line 3 is not UTF-8, the lines before it are. "
        "Save the file as UTF-8 or specify its encoding.",
    ),
    "neither UTF-8 nor Windows-1252": (
        b"name\nM\x81ller\n",
        "Line 2 is not valid cp1252. Save the file as UTF-8 or specify its encoding.",
    ),
    "half a letter of UTF-16": (
        b"\xff\xfe" + "name\nÆrø".encode("utf-16-le")[:-1],
        "Line 2 is not valid utf-16-le. Save the file as UTF-8 or specify its encoding.",
    ),
}


@pytest.mark.parametrize(("content", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_file_is_rejected_with_one_message(content, message, file):
    file.write_bytes(content)

    assert read_error(file) == message


def test_missing_file_is_rejected(file):
    assert read_error(file) == "The file cannot be read: No such file or directory."


def test_directory_is_rejected(tmp_path):
    assert read_error(tmp_path) == "Expected a file, not a directory."


def test_pipe_is_rejected_without_waiting_for_a_writer(file):
    os.mkfifo(file)

    assert read_error(file) == "Expected a file, not a device."


def test_stated_encoding_that_does_not_exist_is_rejected(file):
    file.write_text("name\nNordlys\n")

    assert read_error(file, "utf-9") == "Unknown encoding “utf-9”. Use a name such as utf-8 or windows-1252."
    assert read_error(file, "hex") == "Unknown encoding “hex”. Use a name such as utf-8 or windows-1252."


def test_stated_encoding_that_the_file_is_not_in_is_rejected(file):
    file.write_bytes("name\nMüller\n".encode("cp1252"))

    assert read_error(file, "utf-8") == "Line 2 is not valid utf-8. Save the file as UTF-8 or specify its encoding."


READ_AND_MEASURE = """
import resource, sys
from pathlib import Path
import django
django.setup()
from customers.importing.problems import ImportFileError
from customers.importing.formats import open_records

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with open_records(Path(sys.argv[1])) as records:
        list(records)
except ImportFileError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("start", [b"name,country\n", b'name,country\n"'], ids=["bare", "quoted"])
def test_cell_of_1_gb_takes_little_memory(start, file):
    file.write_bytes(start)
    os.truncate(file, 2**30)  # a hole, which takes no room on the disk and reads as NULs

    command = [sys.executable, "-c", READ_AND_MEASURE, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)

    message, growth = result.stdout.splitlines()
    assert message == "The record at line 2 is longer than 1,048,576 characters."
    assert int(growth) < 64 * 1024  # KiB, as Linux counts
