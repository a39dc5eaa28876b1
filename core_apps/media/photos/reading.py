"""What is uploaded as a photo, and what is kept of it.

The name and the type that a browser announces are never looked at. Nothing of the file itself is kept: its picture is
drawn anew, so that neither the place where it was taken nor anything hidden behind it is stored.
"""

from io import BytesIO
from threading import Lock
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps

TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
MOST_MEGABYTES = 10
MOST_MEGAPIXELS = 30
SIDE, SMALL_SIDE = 1600, 160  # pixels at most; two photos of a page are then no larger than its scripts
QUALITY = 85
# Of two frames or more, as cameras add a depth map or a brighter picture, the first one is the photo.
CAMERA_FORMATS = frozenset({"MPO"})

# A photo of 30 megapixels takes 120 MB while it is read: one at a time, however many threads there are.
READING = Lock()


class Photo(ContentFile):  # type: ignore[type-arg]
    """A photo as it is stored, in both sizes."""

    file: BytesIO

    def __init__(self, large: bytes, small: bytes) -> None:
        super().__init__(large, name="photo.jpg")
        self.small = ContentFile(small)


def photo_of(upload: "File[Any]") -> Photo:
    """Raises ValidationError with what is wrong and what to do."""
    if upload.size > MOST_MEGABYTES * 2**20:
        raise refusal(
            _("This file has %(is)s MB, and a photo may have %(limit)s. Choose a smaller one."),
            **{"is": round(upload.size / 2**20, 1), "limit": MOST_MEGABYTES},
        )
    with READING:
        image = opened(upload)
        check_header(image)
        picture = drawn(image)
    small = picture.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    return Photo(as_jpeg(picture), as_jpeg(small))


def opened(upload: "File[Any]") -> Image.Image:
    """By its content: the formats that are tried are named, as Pillow knows dozens, some of which run programs."""
    upload.seek(0)
    try:
        return Image.open(upload, formats=list(TYPES))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise refusal(TOO_MANY_PIXELS, limit=MOST_MEGAPIXELS) from None
    except Exception as error:  # a decoder raises whatever it trips over
        raise refusal(_("This is not a photo in JPEG, PNG or WebP format. Choose another file.")) from error


TOO_MANY_PIXELS = _("This photo has more than %(limit)s megapixels. Choose a smaller one.")


def check_header(image: Image.Image) -> None:
    """Before a pixel is decoded: a file of a few kilobytes can announce gigabytes."""
    if image.width * image.height > MOST_MEGAPIXELS * 1_000_000:
        raise refusal(TOO_MANY_PIXELS, limit=MOST_MEGAPIXELS)
    if getattr(image, "n_frames", 1) > 1 and image.format not in CAMERA_FORMATS:
        raise refusal(_("This picture moves. Choose a still photo."))


def drawn(image: Image.Image) -> Image.Image:
    """The picture upright and on white, in a new image that has no metadata."""
    try:
        if image.mode in ("P", "PA"):  # colours by number cannot be averaged, and take four times the memory as such
            image.thumbnail((2 * SIDE, 2 * SIDE))
            image = image.convert("RGBA")
        image.thumbnail((SIDE, SIDE))  # before it is turned: the box is a square, and a JPEG is decoded smaller at once
        image = ImageOps.exif_transpose(image)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except Exception as error:  # a decoder raises whatever it trips over
        raise refusal(_("This photo is damaged or not complete. Choose another file, or save it once more.")) from error
    picture = Image.new("RGB", image.size, "white")
    picture.paste(image, mask=image if image.mode == "RGBA" else None)
    return picture


def as_jpeg(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return stream.getvalue()


def refusal(message: Any, **parameters: Any) -> ValidationError:
    return ValidationError(message, code="photo", params=parameters)
