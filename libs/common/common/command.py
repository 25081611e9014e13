"""The console script of a service with an API and a worker: migrate, api, worker, all."""

from typing import Protocol, TypeVar

import typer
from starlette.types import ASGIApp

from common.migrations import migrate as run_migrations
from common.service import serve
from common.settings import StreamSettings

S_contra = TypeVar("S_contra", bound=StreamSettings, contravariant=True)


class Build(Protocol[S_contra]):
    """Builds the application of one process: the API, the worker, or both."""

    def __call__(self, settings: S_contra, *, api: bool, worker: bool) -> ASGIApp: ...


def service_command(
    service: str,
    settings: type[S_contra],
    build: Build[S_contra],
    *,
    description: str,
    api: str,
    worker: str,
    worker_name: str = "worker",
) -> typer.Typer:
    """The command of `service`, which is also the name of its schema.

    `api` and `worker` say in a sentence what each process does.
    """
    command = typer.Typer(no_args_is_help=False, add_completion=False, help=description)

    def run_api() -> None:
        own = settings()
        serve(build(own, api=True, worker=False), own, f"{service}-api")

    def run_worker() -> None:
        own = settings()
        serve(build(own, api=False, worker=True), own, f"{service}-{worker_name}")

    def run_all() -> None:
        own = settings()
        serve(build(own, api=True, worker=True), own, service)

    def migrate() -> None:
        own = settings()
        run_migrations(service, database_url=own.database_url, migrations_url=own.migrations_url)

    @command.callback(invoke_without_command=True)
    def default(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            run_all()

    command.command("migrate", help="Create or update the schema, as its owner.")(migrate)
    command.command("api", help=api)(run_api)
    command.command(worker_name, help=f"{worker} HTTP for health and metrics only.")(run_worker)
    command.command("all", help="Both in one process; so does no sub-command.")(run_all)
    return command
