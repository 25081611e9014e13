"""The `tollgate-stack` command, which the Makefile calls: up, down, status, logs, clean, doctor."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from stack import machine, status
from stack.choice import choose, parse_wanted
from stack.lifecycle import Stack
from stack.supervisor import StackError

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
console = Console(highlight=False)


@contextmanager
def plain_errors() -> Iterator[None]:
    """A StackError's message is for people: shown without a traceback, exit code 1."""
    try:
        yield
    except (StackError, ValueError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error


def say(line: str) -> None:
    console.print(f"  {line}", markup=False, soft_wrap=True)


@app.command()
def up(
    servers_only: Annotated[bool, typer.Option(help="Kafka and PostgreSQL alone.")] = False,
) -> None:
    """Start what is missing; done when everything is ready."""
    with plain_errors():
        stack = Stack()
        with stack.state.changing():
            if os.environ.get("STACK") == "compose" and not servers_only:
                stack.start_in_docker(say)
            else:
                running = stack.start_servers(say=say)
                if not servers_only:
                    stack.start_services(stack.surroundings(running), running, say=say)
    show()


@app.command()
def down() -> None:
    """Stop everything; data and logs stay."""
    with plain_errors():
        stack = Stack()
        with stack.state.changing():
            stack.down()
    say("stopped")


@app.command(name="status")
def show() -> None:
    """Each process with its id, port, health and lag. Exit code 1 when one is not ready."""
    with plain_errors():
        stack = Stack()
        running = stack.servers()
        if running is None:
            raise StackError("nothing was started here yet: make up")
        found = status.rows(stack.supervisor, running, stack.surroundings(running))
        console.print(status.table(found))
        if any(row.health != "ready" for row in found):
            raise typer.Exit(1)


@app.command()
def logs(
    names: Annotated[list[str] | None, typer.Argument(help="Processes; all when none.")] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = False,
    lines: Annotated[int, typer.Option(help="Lines of each log.")] = 30,
) -> None:
    """The ends of the processes' logs."""
    folder = Stack().state.logs
    paths = [folder / f"{name}.log" for name in names] if names else sorted(folder.glob("*.log"))
    present = [str(path) for path in paths if path.exists()]
    if not present:
        say(f"no logs in {folder}")
        raise typer.Exit(1)
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), *present]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command()
def clean() -> None:
    """Stop everything and remove the state under .stack; the cache of downloads stays."""
    with plain_errors():
        Stack().clean()
    say("removed .stack")


@app.command()
def doctor() -> None:
    """Which servers this machine would get, and why."""
    with plain_errors():
        for reason in choose(machine.look(), parse_wanted(os.environ.get("STACK", ""))).reasons:
            say(reason)


if __name__ == "__main__":
    sys.exit(app())
