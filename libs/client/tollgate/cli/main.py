"""The commands, gathered. Addresses and token: TOLLGATE_<SERVICE>_URL, TOLLGATE_BASE_PORT,
TOLLGATE_TOKEN."""

import sys

import typer

from tollgate.cli import (
    apply,
    decisions,
    events,
    explain,
    invoices,
    output,
    plan,
    rerates,
    rules,
    simulate,
    status,
    topics,
    trace,
    usage,
    wallets,
)
from tollgate.errors import ProblemError, TollgateError

cli = typer.Typer(
    help="Work with Tollgate: define, send, look, explain.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cli.command(name="apply")(apply.apply)
cli.command(name="usage")(usage.usage)
cli.command(name="trace")(trace.trace)
cli.command(name="explain")(explain.explain)
cli.command(name="simulate")(simulate.simulate)
cli.command(name="status")(status.status)
cli.add_typer(plan.cli, name="plan")
cli.add_typer(rerates.cli, name="rerates")
cli.add_typer(invoices.cli, name="invoices")
cli.add_typer(wallets.cli, name="wallets")
cli.add_typer(rules.cli, name="rules")
cli.add_typer(decisions.cli, name="decisions")
cli.add_typer(events.cli, name="events")
cli.add_typer(topics.cli, name="topics")


def app() -> None:
    """The console script: known errors in one line, exit code 1."""
    try:
        cli()
    except TollgateError as error:
        output.print_error(f"error: {error}")
        if isinstance(error, ProblemError):
            for item in error.errors:
                output.print_error(f"  {item.get('path', '')}: {item.get('message', '')}")
        sys.exit(1)
