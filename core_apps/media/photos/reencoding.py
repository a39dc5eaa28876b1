"""A program that re-encodes a photo in a process of its own, whose memory and time are limited.

Reads the photo from standard input and writes the length of the large JPEG in four bytes, the large JPEG and the small
one. Imports nothing of the project, so that it starts quickly.
"""

import os
import resource
import struct
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP")  # some others that Pillow supports run external programs
SIDE, SMALL_SIDE = 1600, 160  # maximum in pixels
QUALITY = 85
LENGTH = struct.Struct("!I")
DAMAGED = 3  # exit status

MEMORY = 384 * 2**20  # bytes of address space
CPU_SECONDS = 10


def main() -> None:
    limit_resources()
    photo = sys.stdin.buffer.read()
    try:
        picture = read_upright(Image.open(BytesIO(photo), formats=FORMATS))
    except MemoryError:
        raise
    except Exception:  # decoders raise all kinds of exceptions
        sys.exit(DAMAGED)
    small = picture.copy()
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    large = encode_jpeg(picture)
    sys.stdout.buffer.write(LENGTH.pack(len(large)) + large + encode_jpeg(small))


def limit_resources() -> None:
    os.nice(10)  # requests come first
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    if sys.platform == "linux":  # macOS has no limit of address space
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        # If the container runs out of memory nevertheless, it ends this process, and no worker. Some sandboxes lack the
        # file.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def read_upright(image: Image.Image) -> Image.Image:
    """A new image without metadata, upright, on white."""
    if image.mode in ("P", "PA"):  # cannot be resized well, and RGBA takes four times the memory
        image.thumbnail((2 * SIDE, 2 * SIDE))
        image = image.convert("RGBA")
    image.thumbnail((SIDE, SIDE))  # before rotating, as a JPEG can be decoded at a smaller size
    image = ImageOps.exif_transpose(image)
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    picture = Image.new("RGB", image.size, "white")
    picture.paste(image, mask=image if image.mode == "RGBA" else None)
    return picture


def encode_jpeg(image: Image.Image) -> bytes:
    stream = BytesIO()
    image.save(stream, "JPEG", quality=QUALITY, optimize=True, progressive=True)
    return stream.getvalue()


if __name__ == "__main__":
    main()
