"""Reads the JSON body of a REST request."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser as RestJSONParser


class JSONParser(RestJSONParser):
    """Django REST framework's own, and refuses what would bring down whoever reads or repeats the value.

    That is a body of brackets alone (a RecursionError) and half a surrogate pair, which no answer can carry.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """The JSON value, all of it valid Unicode. Raises ParseError, and ValidationError where it can name a field."""
        try:
            value = super().parse(stream, media_type, parser_context)
            _refuse_surrogates(value)
        except RecursionError:
            raise ParseError("the body is nested too deeply") from None
        return value


def _refuse_surrogates(body: Any) -> None:
    for name, value in body.items() if isinstance(body, dict) else [("", body)]:
        if not _is_unicode(name):
            raise ParseError("the name of a field is not valid Unicode (UTF-8)")
        if not _is_unicode(json.dumps(value, ensure_ascii=False)):
            raise ValidationError({name[:40]: "it is not valid Unicode (UTF-8)"})


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
