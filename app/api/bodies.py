"""Bodies and parameters of requests, read strictly."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar

from apiflask import HTTPError
from flask import Request, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from app.domain.errors import InvalidInputError, MalformedInputError
from app.domain.strict_json import read_json, text_fault

_Form = TypeVar("_Form", bound=BaseModel)

#: What the parts of a multipart body need beside the file, in bytes.
_FORM_BYTES = 65_536

#: What the framework puts where bytes were no UTF-8.
_UNREADABLE = "\ufffd"


class StrictRequest(Request):
    """Request whose JSON is one object, in UTF-8, under the right media type."""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ANN401, ARG002, FBT001, FBT002 -- the framework's signature
        """Return the body's object.

        Raises:
            UnsupportedMediaType: The body is not declared to be JSON in UTF-8.
            RequestEntityTooLarge: The body passes the limit.
            InvalidInputError: It is no JSON object that can be kept.
        """
        charset = self.mimetype_params.get("charset", "utf-8").lower()
        if self.mimetype != "application/json" or charset not in {"utf-8", "utf8"}:
            raise UnsupportedMediaType("must be application/json in UTF-8")
        value = read_json(self._limited_data(), place="body")
        if not isinstance(value, dict):
            raise MalformedInputError("body", "must be a JSON object")
        return value

    def _limited_data(self) -> bytes:
        """Return the body; a chunked one that passes the limit is cut there by the framework, without a word."""
        limit = self.max_content_length
        if limit is None:
            return self.get_data(cache=False)
        self.max_content_length = limit + 1
        data = self.get_data(cache=False)
        if len(data) > limit:
            raise RequestEntityTooLarge
        return data


def check_parameters(*, expected: bool) -> None:
    """Check that the query of the present request names each parameter once, in UTF-8, or none when none is expected.

    Raises:
        InvalidInputError: It does not.
    """
    for name, values in request.args.lists():
        if not expected:
            raise InvalidInputError(name, "is no parameter of this call")
        if len(values) > 1:
            raise InvalidInputError(name, "is given more than once")
        _check_text(name, name + values[0])


def read_form(form: type[_Form], *, max_file_bytes: int, repeated: frozenset[str]) -> tuple[str, _Form]:
    """Return the name of the one file of the present request's multipart body, and the whole form.

    The file's content is the form's field `file`. Fields in `repeated` may come several times, and are lists.

    Raises:
        UnsupportedMediaType: The body is not multipart/form-data.
        RequestEntityTooLarge: The body passes the limit.
        InvalidInputError: A field is repeated or no text, the file is missing, too large or one of many.
        HTTPError: The form breaks its rules; the detail is that of APIFlask's own inputs.
    """
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("must be multipart/form-data")
    request.max_content_length = max_file_bytes + _FORM_BYTES
    fields: dict[str, Any] = {}
    for name, values in request.form.lists():
        if len(values) > 1 and name not in repeated:
            raise InvalidInputError(name, "is given more than once")
        for value in values:
            _check_text(name, value)
        fields[name] = values if name in repeated else values[0]
    file_name, fields["file"] = _read_file(max_file_bytes)
    try:
        return file_name, form.model_validate(fields)
    except ValidationError as error:
        raise HTTPError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            detail={"form": {".".join(map(str, fault["loc"])): [fault["msg"]] for fault in error.errors()}},
        ) from error


def _read_file(max_bytes: int) -> tuple[str, bytes]:
    files = list(request.files.items(multi=True))
    if len(files) != 1 or files[0][0] != "file":
        raise InvalidInputError("file", "must be given, exactly once, and be the only file")
    content = files[0][1].stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise InvalidInputError("file", f"is larger than {max_bytes} bytes")
    return files[0][1].filename or "", content


def _check_text(name: str, value: str) -> None:
    unfit = "is not UTF-8" if _UNREADABLE in value else text_fault(value)
    if unfit:
        raise InvalidInputError(name, unfit)
