import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType


@pytest.fixture
def render() -> Callable[..., list[str]]:
    """Returns the lines of a picture, as on a terminal without colors."""

    def render(picture: RenderableType, width: int = 120) -> list[str]:
        stream = io.StringIO()
        Console(file=stream, width=width, color_system=None, highlight=False).print(picture)
        return [line.rstrip() for line in stream.getvalue().splitlines()]

    return render
