"""Pictures on a terminal, as text."""

import io

from rich.console import Console, RenderableType


def render(picture: RenderableType, width: int = 120) -> list[str]:
    """Return the lines of a picture, as on a terminal without colors."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, highlight=False).print(picture)
    return [line.rstrip() for line in stream.getvalue().splitlines()]
