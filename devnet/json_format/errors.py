"""Java exceptions as the node prints them."""

from __future__ import annotations

import re

_PARSE_EXCEPTION = "org.tron.core.services.http.JsonFormat$ParseException"


class JavaError(Exception):
    """What java-tron prints as `{"Error": "class … : …"}`."""

    def __init__(self, java_class: str, message: str) -> None:
        super().__init__(f"class {java_class} : {message}")


class ParseError(JavaError):
    """A field that cannot be read; java-tron names the line and column of its value.

    Attributes:
        field: The JSON name of the field; None means the beginning of the text.
        reason: What is wrong with it.
    """

    def __init__(self, reason: str, *, field: str | None = None) -> None:
        super().__init__(_PARSE_EXCEPTION, f"1:1: {reason}")
        self.field = field
        self.reason = reason

    def within(self, text: str) -> JavaError:
        """The same error with the place of the value in a request's text."""
        place = None
        if self.field is not None:
            place = re.search(rf'"{re.escape(self.field)}"\s*:\s*(?:\[\s*)?', text)
        before = text[: place.end()] if place is not None else ""
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1) + 1
        return JavaError(_PARSE_EXCEPTION, f"{line}:{column}: {self.reason}")


def null_pointer() -> JavaError:
    """What a missing part ends in."""
    return JavaError("java.lang.NullPointerException", "null")
