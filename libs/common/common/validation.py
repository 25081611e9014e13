"""What is wrong with a request, in the API's words: fields with a path and a sentence."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from common.errors import INVALID_REQUEST, UNSUPPORTED_MEDIA_TYPE, problem

_PREFIXES: Final = ("Value error, ", "Assertion failed, ")
"""What pydantic puts before the sentences of our own validators."""
_NO_OBJECT: Final = ("dict_type", "model_type", "model_attributes_type")
_KINDS: Final = ("type", "kind")
"""Fields by which objects say of which kind they are."""
_OF_A_KIND: Final = ("union_tag_invalid", "union_tag_not_found")
"""An object names its kind in a field, and that is wrong or missing."""


async def answer_validation(request: Request, error: Exception) -> Response:
    """Exception handler of `RequestValidationError`."""
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if not _is_json(request) and any(_is_unread(one) for one in found):
        said = "the body must be JSON: send it with content-type: application/json"
        return problem(UNSUPPORTED_MEDIA_TYPE, said)
    errors = [field_error(one, error.body) for one in found]
    detail = "; ".join(f"{one['path']}: {one['message']}" for one in errors[:5])
    return problem(INVALID_REQUEST, detail, errors=errors)


def field_error(error: Mapping[str, Any], body: Any) -> dict[str, str]:
    """One of pydantic's errors as callers see it. `body`: what was sent."""
    place, *inner = error["loc"]
    path = ".".join(map(str, [place, *(_written(inner, body) if place == "body" else inner)]))
    message = str(error["msg"])
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    if error["type"] in _NO_OBJECT:
        message = "must be an object"
    if error["type"] in _OF_A_KIND:
        context = error["ctx"]
        path = f"{path}.{_unquoted(context['discriminator'])}"
        known = context.get("expected_tags")
        message = "is missing" if known is None else f"must be one of: {_unquoted(known)}"
    return {"path": path, "message": message}


def _written(loc: Sequence[int | str], body: Any) -> Iterator[int | str]:
    """The fields on the way to what is wrong in a body. It leaves out of `loc` what no caller has
    written: which kind an object is of, and which type of several a value was tried as."""
    at, kind = body, _kind(body)
    for part in loc:
        if not isinstance(at, Mapping | list):
            return
        if part == kind:
            kind = None
            continue
        yield part
        at = _inside(at, part)
        kind = _kind(at)


def _kind(value: Any) -> Any:
    """What pydantic puts into a path in front of the fields of an object that is one of several
    kinds: which one it says it is."""
    named = (value.get(name) for name in _KINDS) if isinstance(value, Mapping) else ()
    return next((kind for kind in named if kind is not None), None)


def _inside(value: Any, part: int | str) -> Any:
    if isinstance(value, list):
        return value[part] if isinstance(part, int) and part < len(value) else None
    return value.get(part) if isinstance(value, Mapping) else None


def _unquoted(names: str) -> str:
    return names.replace("'", "")


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith("application/") and kind.endswith(("/json", "+json"))


def _is_unread(error: Mapping[str, Any]) -> bool:
    """Whether a body was there and was not taken for JSON."""
    return tuple(error["loc"]) == ("body",) and error["type"] != "missing"
