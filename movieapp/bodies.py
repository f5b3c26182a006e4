"""Reads the JSON body of a REST request, and no more of it than the settings allow."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from django.utils.http import parse_header_parameters
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser


class BodyTooLarge(APIException):
    """The body is larger than DATA_UPLOAD_MAX_MEMORY_SIZE."""

    status_code = 413
    default_code = "body_too_large"


class BoundedJSONParser(JSONParser):
    """Django REST framework's own parser reads a body of any size into memory."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The JSON value. Raises BodyTooLarge, and ParseError for what is not JSON in UTF-8."""
        limit: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise BodyTooLarge(f"the body is larger than {limit} bytes")
        charset = parse_header_parameters(media_type or "")[1].get("charset", "utf-8")
        if charset.lower().replace("_", "-") not in ("utf-8", "utf8", "us-ascii"):
            raise ParseError("the body must be JSON in UTF-8")
        try:
            return super().parse(BytesIO(body), "application/json", {"encoding": "utf-8"})
        except RecursionError:
            raise ParseError("the body is nested too deeply") from None
