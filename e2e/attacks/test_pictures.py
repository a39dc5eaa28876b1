"""Files that are small to send and large to decode, and many photos at once, each from an address of its own."""

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from PIL import Image

from e2e.attacks.bystander import Target, undisturbed
from e2e.load import Request, Sample, send
from e2e.site import ask

# They measure answer times, and other work on the machine would fail them.
pytestmark = pytest.mark.full

BOUNDARY = "----picture"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_of_one_column() -> bytes:
    """1 by 30,000,000 pixels; each of the rows has a byte for its filter."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack("!IIBBBBB", 1, 30_000_000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(60_000_000), 9)) + chunk(b"IEND", b"")


def jpeg_of_many_scans(count: int = 1500) -> bytes:
    """The last scan of an ordinary progressive file, which changes nothing, so many times."""
    whole = encode(Image.new("RGB", (5000, 5000), "teal"), "JPEG", progressive=True)
    last = whole[whole.rindex(b"\xff\xda") : -2]
    return whole[:-2] + last * count + whole[-2:]


def webp_of_29_megapixels() -> bytes:
    return encode(Image.new("RGB", (5800, 5000)), "WEBP")


def largest_photo() -> bytes:
    """30 megapixels in colours of full resolution, progressive: of all photos it takes the most to decode."""
    noise = [Image.effect_noise((750, 625), 60).resize((6000, 5000)) for _ in range(3)]
    return encode(Image.merge("RGB", noise), "JPEG", quality=80, progressive=True, subsampling=0)


ATTACKS = {"PNG of one column": png_of_one_column, "scans": jpeg_of_many_scans, "WebP": webp_of_29_megapixels}


@pytest.fixture(scope="module")
def photo_url(target: Target) -> str:
    headers = {"Content-Type": "application/json"} | target.token("alice")
    answer = ask(target.site, "POST", "/api/v1/customers/", headers, '{"family_name": "Lovelace"}')
    assert answer.status == 201, answer.text
    return urlsplit(answer.headers["Location"]).path + "photo/"


def upload_at_once(target: Target, url: str, content: bytes, count: int, limit: float = 1) -> list[Sample]:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()

    def upload(number: int) -> Sample:
        headers = FORM | target.token("alice") | {"X-Forwarded-For": f"198.51.100.{number}"}
        return send(target.site, Request("PUT", url, 204, headers, body))

    with undisturbed(target, limit), ThreadPoolExecutor(count) as attackers:
        return list(attackers.map(upload, range(count)))


def describe(sample: Sample) -> str:
    answer = sample.answer and f"{sample.answer.status} {sample.answer.text[:300]}"
    return f"{answer or 'no answer'} after {sample.seconds:.2f} s"


@pytest.mark.parametrize("attack", ATTACKS)
def test_file_that_is_large_to_decode_is_refused_at_once(target: Target, photo_url: str, attack: str) -> None:
    content = ATTACKS[attack]()
    samples = upload_at_once(target, photo_url, content, 18)
    print(f"{attack}, {len(content) / 1000:.0f} KB: {describe(max(samples, key=lambda sample: sample.seconds))}")
    assert {sample.answer and sample.answer.status for sample in samples} == {400}
    assert max(sample.seconds for sample in samples) <= 2


def test_many_of_the_largest_photos_at_once_disturb_nobody(target: Target, photo_url: str) -> None:
    content = largest_photo()
    assert 8 * 2**20 < len(content) < 10 * 2**20
    # Half a gigabyte, which the same processors encrypt and decrypt.
    samples = upload_at_once(target, photo_url, content, 50, limit=2)
    answers = [sample.answer.status if sample.answer else None for sample in samples]
    print({status: answers.count(status) for status in set(answers)}, describe(samples[0]))
    assert set(answers) <= {204, 503}
    assert 204 in answers
