"""Checks and re-encodes uploaded photos.

The file name and content type of the browser are ignored. The image is re-encoded, so that neither its location nor any
hidden data is stored.
"""

from io import BytesIO
from threading import Lock
from typing import Any

from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile, File
from django.utils.translation import gettext_lazy as _
from PIL import Image, ImageOps

TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
MAX_MEGABYTES = 10
MAX_MEGAPIXELS = 30
SIDE, SMALL_SIDE = 1600, 160  # maximum in pixels
QUALITY = 85
# Cameras add frames such as a depth map; the first frame is the photo.
CAMERA_FORMATS = frozenset({"MPO"})

# Decoding 30 megapixels takes 120 MB of memory: one at a time per process.
READING = Lock()


class Photo(ContentFile):  # type: ignore[type-arg]
    """A photo in both sizes, ready to be stored."""

    file: BytesIO

    def __init__(self, large: bytes, small: bytes) -> None:
        super().__init__(large, name="photo.jpg")
        self.small = ContentFile(small)


def read_photo(upload: "File[Any]") -> Photo:
    """Raises ValidationError with what is wrong and what to do."""
    if upload.size > MAX_MEGABYTES * 2**20:
        raise build_error(
            _("The file is %(size)s MB; the limit is %(limit)s MB. Choose a smaller file."),
            size=round(upload.size / 2**20, 1),
            limit=MAX_MEGABYTES,
        )
    with READING:
        image = open_image(upload)
        check_header(image)
        picture = re_encode(image)
    small = picture.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    return Photo(encode_jpeg(picture), encode_jpeg(small))


def open_image(upload: "File[Any]") -> Image.Image:
    """Detects the format from the content. Only these formats: some that Pillow supports run external programs."""
    upload.seek(0)
    try:
        return Image.open(upload, formats=list(TYPES))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise build_error(TOO_MANY_PIXELS, limit=MAX_MEGAPIXELS) from None
    except Exception as error:  # decoders raise all kinds of exceptions
        raise build_error(_("The file is not a JPEG, PNG or WebP image. Choose another file.")) from error


TOO_MANY_PIXELS = _("The photo has more than %(limit)s megapixels. Choose a smaller one.")


def check_header(image: Image.Image) -> None:
    """Checks the size before decoding: a file of a few kilobytes can decompress to gigabytes."""
    if image.width * image.height > MAX_MEGAPIXELS * 1_000_000:
        raise build_error(TOO_MANY_PIXELS, limit=MAX_MEGAPIXELS)
    if getattr(image, "n_frames", 1) > 1 and image.format not in CAMERA_FORMATS:
        raise build_error(_("Animated images are not supported. Choose a still photo."))


def re_encode(image: Image.Image) -> Image.Image:
    """A new image without metadata, upright, on white."""
    try:
        if image.mode in ("P", "PA"):  # cannot be resized well, and RGBA takes four times the memory
            image.thumbnail((2 * SIDE, 2 * SIDE))
            image = image.convert("RGBA")
        image.thumbnail((SIDE, SIDE))  # before rotating, as a JPEG can be decoded at a smaller size
        image = ImageOps.exif_transpose(image)
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    except Exception as error:  # decoders raise all kinds of exceptions
        raise build_error(_("The photo is damaged or incomplete. Choose another file, or save it again.")) from error
    picture = Image.new("RGB", image.size, "white")
    picture.paste(image, mask=image if image.mode == "RGBA" else None)
    return picture


def encode_jpeg(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return stream.getvalue()


def build_error(message: Any, **parameters: Any) -> ValidationError:
    return ValidationError(message, code="photo", params=parameters)
