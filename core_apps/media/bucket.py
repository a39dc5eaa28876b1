"""Uploaded files in a bucket, by the API of Amazon S3."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import filepath_to_uri
from django.utils.translation import gettext as _
from storages.backends.s3 import S3File, S3Storage

logger = logging.getLogger(__name__)

LINK_SECONDS = 60
RETRY_AFTER = 5  # seconds
# A request and its transaction wait for the bucket, so these are much less than their own limits.
LIMITS = {"connect_timeout": 2, "read_timeout": 10, "retries": {"total_max_attempts": 2}}
# By the codes of errors
SETTINGS = {
    "InvalidAccessKeyId": "AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "AWS_SECRET_ACCESS_KEY",
    "AuthorizationHeaderMalformed": "AWS_REGION",
    "PermanentRedirect": "AWS_REGION",
}


class BucketStorage(S3Storage):  # type: ignore[misc]
    file_overwrite = False
    querystring_expire = LINK_SECONDS

    def __init__(self, **options: Any) -> None:
        # Amazon has a host name for each bucket; few others do.
        style = {"addressing_style": "path" if options["endpoint_url"] else "virtual"}
        super().__init__(client_config=Config(s3=style, signature_version="s3v4", **LIMITS), **options)
        # One for all threads, which it is made for: each takes 13 MB.
        self._connections = SimpleNamespace()

    def url(self, name: str, *_options: Any) -> str:
        """The address that checks permissions, as that of a file on a volume."""
        return settings.MEDIA_URL + filepath_to_uri(name)

    def build_link(self, name: str, headers: Mapping[str, str], method: str) -> str:
        """Return an address for everybody, valid for LINK_SECONDS and the method, whose response has these headers."""
        names = ("Cache-Control", "Content-Disposition", "Content-Type")
        parameters = {f"Response{name.replace('-', '')}": headers[name] for name in names}
        return str(super().url(name, parameters, http_method=method))

    def put(self, name: str, content: Any) -> None:
        """Store the file under exactly this name."""
        self._save(name, content)

    def hash(self, name: str) -> bytes:
        """Return the SHA-256 of the file as it can be read there."""
        digest = hashlib.sha256()
        for part in self.bucket.Object(self._normalize_name(name)).get()["Body"].iter_chunks(2**16):
            digest.update(part)
        return digest.digest()

    def check(self) -> None:
        """Raise an error that names the setting if the bucket cannot be used, or if anybody can read it."""
        try:
            self.connection.meta.client.list_objects_v2(Bucket=self.bucket_name, MaxKeys=1)
            name = self.save("check.txt", ContentFile(b"check"))
        except ClientError as error:
            if setting := SETTINGS.get(error.response["Error"]["Code"]):
                raise ImproperlyConfigured(f"{setting} is wrong: {error}") from error
            raise
        try:
            self.unsigned_connection.meta.client.head_object(Bucket=self.bucket_name, Key=name)
        except ClientError:  # as it should be
            return
        finally:
            self.delete(name)
        raise ImproperlyConfigured("anybody can read its files: block public access to the bucket")

    def _open(self, name: str, mode: str = "rb") -> S3File:
        file = super()._open(name, mode)
        return file if "r" in mode else Upload(file.obj.key, mode, self)


class Upload(S3File):  # type: ignore[misc]
    """Sent in parts while it is written, so that there is no way back, which ZipFile asks for."""

    def tell(self) -> int:
        raise OSError("parts may have been sent")

    def writelines(self, lines: Iterable[bytes]) -> None:
        """That of S3File writes past its buffer."""
        for line in lines:
            self.write(line)


class BucketAwayMiddleware:
    """Returns 503 if the bucket cannot be reached or refuses, because the request can be repeated."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, BotoCoreError | Boto3Error | ClientError):
            return None
        logger.error("Error of the bucket %s: %s", settings.MEDIA_BUCKET, error)
        text = _("Photos and files are not available. A change with a file was not saved: try again in some minutes.")
        headers = {"Retry-After": str(RETRY_AFTER)}
        return HttpResponse(f"{text}\n", status=503, content_type="text/plain", headers=headers)
