"""What the fixture `once` gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Once = Callable[[str, Callable[[], Any]], Any]
