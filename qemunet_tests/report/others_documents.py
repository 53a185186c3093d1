"""Documents of JSON that may be a stranger's in every respect: what they say is shown to people."""

from typing import TypeVar

from pydantic import ValidationError

from qemunet_tests.errors import UsageError
from qemunet_tests.printable import is_printable_json, printable_json
from qemunet_tests.shape import Shape

_LONGEST_COMPLAINT = 300
_Said = TypeVar("_Said", bound=Shape)


def read_as(kind: type[_Said], content: bytes) -> _Said:
    """The document, with nothing in it that a terminal obeys. Raises UsageError, with the first thing that is wrong."""
    try:
        # As JSON again: to Python's own values other rules apply, for instance to days.
        return kind.model_validate_json(content if is_printable_json(content) else printable_json(content))
    except ValidationError as error:
        raise UsageError(_first(error)[:_LONGEST_COMPLAINT]) from None
    except ValueError as wrong:
        raise UsageError(str(wrong)) from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return ": ".join(filter(None, [".".join(map(str, first["loc"])), first["msg"]]))
