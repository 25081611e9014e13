"""A line for every step, with the seconds since the start."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
_began = time.monotonic()


def say(text: str) -> None:
    """One line of progress."""
    console.print(f"[dim]{time.monotonic() - _began:6.1f} s[/dim]  {text}")


@contextmanager
def step(text: str) -> Iterator[None]:
    """A step that is announced, and told again with its duration when it took a while."""
    say(f"{text} …")
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    if took >= 1:
        say(f"  [green]done[/green] in {took:.1f} s")


def heading(text: str) -> None:
    """A section of the report."""
    console.print(f"\n[bold]{text}[/bold]")
