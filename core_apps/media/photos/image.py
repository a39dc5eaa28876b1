"""Checks uploaded photos by their headers, and has them re-encoded by a child process, one at a time.

The file name and content type of the browser are ignored. The image is re-encoded, so that neither its location nor any
hidden data is stored.
"""

import fcntl
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import BoundedSemaphore
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.utils.translation import gettext_lazy as _
from PIL import Image

from core_apps.media.photos import reencoding

logger = logging.getLogger(__name__)

PROGRAM = reencoding.__file__
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
# Cameras add frames such as a depth map; the first frame is the photo.
CAMERA_FORMATS = frozenset({"MPO"})
MAX_MEGABYTES = 10
MAX_SIDE = 16_000  # pixels: Pillow keeps a pointer for each row
# A JPEG is decoded at a smaller size; of the others, the whole image is in memory.
MAX_MEGAPIXELS = {"JPEG": 30, "MPO": 30, "PNG": 16, "WEBP": 16}
MAX_SCANS = 50  # of a progressive JPEG, each of which takes the time of a whole image; usual are ten
START_OF_SCAN = b"\xff\xda"

# Uploads that one process re-encodes or keeps waiting: the other threads must stay free for other requests.
SLOTS = BoundedSemaphore(2)
MAX_WAIT, MAX_RUN = 5, 15  # seconds
PAUSE = 0.05  # seconds between two attempts to get the lock
RETRY_AFTER = 5  # seconds


class Photo(ContentFile):  # type: ignore[type-arg]
    """A photo in both sizes, ready to be stored."""

    file: BytesIO

    def __init__(self, large: bytes, small: bytes) -> None:
        super().__init__(large, name="photo.jpg")
        self.small = ContentFile(small)


class PhotosBusyError(ValidationError):
    """The photo was not looked at, and can be uploaded again after RETRY_AFTER."""

    def __init__(self) -> None:
        super().__init__(
            _("Too many photos are being uploaded at this moment. Wait a few seconds, then choose the photo again."),
            code="busy",
        )


def read_photo(upload: "File[Any]") -> Photo:
    """Takes seconds: call it outside of a transaction that holds locks.

    Raises ValidationError with what is wrong and what to do, PhotosBusyError if the photo can be uploaded again.
    """
    if upload.size > MAX_MEGABYTES * 2**20:
        raise build_error(
            _("The file is %(size)s MB; the limit is %(limit)s MB. Choose a smaller file."),
            size=round(upload.size / 2**20, 1),
            limit=MAX_MEGABYTES,
        )
    upload.seek(0)
    content = upload.read()
    check_header(open_image(content), content)
    with wait_for_turn():
        return re_encode(content)


def open_image(content: bytes) -> Image.Image:
    """Detects the format from the content, and reads no further than the header."""
    try:
        return Image.open(BytesIO(content), formats=reencoding.FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        text = _("The photo has more than %(limit)s megapixels. Choose a smaller one.")
        raise build_error(text, limit=max(MAX_MEGAPIXELS.values())) from None
    except Exception as error:  # decoders raise all kinds of exceptions
        raise build_error(_("The file is not a JPEG, PNG or WebP image. Choose another file.")) from error


def check_header(image: Image.Image, content: bytes) -> None:
    """Checks what decoding will take: a file of a few kilobytes can decompress to gigabytes."""
    kind = str(image.format)
    if max(image.size) > MAX_SIDE:
        text = _("The photo is %(width)s by %(height)s pixels; a side may have %(limit)s. Choose a smaller one.")
        raise build_error(text, width=image.width, height=image.height, limit=MAX_SIDE)
    if image.width * image.height > MAX_MEGAPIXELS[kind] * 1_000_000:
        text = _("The photo has %(size)s megapixels; a %(kind)s may have %(limit)s. Choose a smaller one.")
        size = round(image.width * image.height / 1_000_000, 1)
        raise build_error(text, size=size, kind=kind, limit=MAX_MEGAPIXELS[kind])
    # Also counts those of thumbnails in the metadata.
    if kind in ("JPEG", "MPO") and (scans := content.count(START_OF_SCAN)) > MAX_SCANS:
        text = _("The JPEG has %(scans)s scans; the limit is %(limit)s. Save it again, as an ordinary JPEG.")
        raise build_error(text, scans=scans, limit=MAX_SCANS)
    if getattr(image, "n_frames", 1) > 1 and kind not in CAMERA_FORMATS:
        raise build_error(_("Animated images are not supported. Choose a still photo."))


@contextmanager
def wait_for_turn() -> Iterator[None]:
    """One at a time of all processes that run this code; the lock ends with the process that holds it.

    Raises PhotosBusyError at once if others of this process wait already, or after MAX_WAIT.
    """
    if not SLOTS.acquire(blocking=False):
        raise PhotosBusyError
    try:
        with open(PROGRAM, "rb") as file:
            lock_file(file.fileno())
            yield
    finally:
        SLOTS.release()


def lock_file(descriptor: int) -> None:
    deadline = time.monotonic() + MAX_WAIT
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise PhotosBusyError from None
            time.sleep(PAUSE)


def re_encode(content: bytes) -> Photo:
    # Without the environment, whose secrets are not for a process that a file may take over.
    command = [sys.executable, "-I", PROGRAM]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=MAX_RUN, env={})
    except subprocess.TimeoutExpired:
        raise build_error(TOO_DEMANDING) from None
    if done.returncode == reencoding.DAMAGED:
        raise build_error(_("The photo is damaged or incomplete. Choose another file, or save it again."))
    if done.returncode:
        logger.warning("Re-encoding a photo ended with %s: %s", done.returncode, done.stderr.decode()[-500:])
        raise build_error(TOO_DEMANDING)
    start = reencoding.LENGTH.size
    end = start + reencoding.LENGTH.unpack_from(done.stdout)[0]
    return Photo(done.stdout[start:end], done.stdout[end:])


TOO_DEMANDING = _("The photo takes too much time or memory to be processed. Save it again, as an ordinary JPEG.")


def build_error(message: Any, **parameters: Any) -> ValidationError:
    return ValidationError(message, code="photo", params=parameters)
