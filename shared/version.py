"""The version of the whole tree."""

from typing import Final

VERSION: Final = "0.1.0"
