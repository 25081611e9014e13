"""`python -m demo`: bring everything up, run the demo, reconcile; exit code 1 on a difference."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from demo import catalog as catalogs
from demo.apis import Apis
from demo.progress import console, say, step
from demo.run import LOAD_SECONDS, Demo, run, show_addresses
from stack.lifecycle import Stack
from stack.servers import Servers
from stack.supervisor import StackError

MARK = "demo.json"
"""Stands in the state folder of a demo: such a state may be thrown away by the next one."""


def main() -> int:
    """The demo; returns the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    stack = Stack()
    keep = os.environ.get("KEEP", "") not in ("", "0")
    try:
        prepare_state(stack)
    except StackError as error:
        console.print(f"[bold red]{error}[/bold red]")
        return 1
    try:
        demo, servers = bring_up(stack)
        wrong = run(
            demo,
            with_nginx=servers.choice.edge == "nginx",
            log=access_log(stack),
            seconds=int(os.environ.get("DEMO_SECONDS", LOAD_SECONDS)),
        )
        if keep:
            show_addresses(demo)
    except (StackError, TimeoutError, RuntimeError) as error:
        console.print(f"\n[bold red]The demo failed:[/bold red] {error}", markup=True)
        console.print(f"Logs: {stack.state.logs}")
        wrong = [str(error)]
    finally:
        if not keep:
            with step("stop everything (KEEP=1 leaves it running)"):
                stack.down()
    took = time.monotonic() - began
    for what in wrong:
        console.print(f"[bold red]wrong:[/bold red] {what}")
    if not wrong:
        console.print(
            f"\n[bold green]0 differences[/bold green] after three kills, in {took:.0f} s"
        )
    return 1 if wrong else 0


def prepare_state(stack: Stack) -> None:
    """A clean state; that of an earlier demo is removed, that of `make up` is not."""
    mark = stack.state.root / MARK
    if stack.servers() is not None and not mark.exists():
        raise StackError(
            f"{stack.state.root} holds the data of `make up`. Remove it with `make clean-stack`,"
            " or run the demo in another clone with another TOLLGATE_BASE_PORT"
        )
    stack.clean()
    stack.state.make()
    mark.write_text(json.dumps({"began": datetime.now(UTC).isoformat()}))


def bring_up(stack: Stack) -> tuple[Demo, Servers]:
    """Servers, services, catalog."""
    with step("servers: Kafka and PostgreSQL"):
        servers = stack.start_servers(say=say)
    log = access_log(stack)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()
    around = stack.surroundings(servers, nginx_log=log if servers.choice.edge == "nginx" else None)
    with step("services: six of them, ingest as two processes"):
        stack.start_services(around, servers, say=say)
    catalog = catalogs.load(datetime.now(UTC))
    file = catalogs.write(catalog, stack.state.root / "demo" / "catalog.yaml")
    demo = Demo(stack, Apis(stack.ports), stack.state.root / "demo", catalog)
    with step(f"apply the catalog from {file}"):
        apply(file, demo.apis)
    return demo, servers


def apply(file: Path, apis: Apis) -> None:
    """`tollgate apply`, as an operator would."""
    command = [str(Path(sys.executable).parent / "tollgate"), "apply", "-f", str(file)]
    addresses = {f"TOLLGATE_{name.upper()}_URL": url for name, url in apis.address.items()}
    done = subprocess.run(
        command, env=os.environ | addresses, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def access_log(stack: Stack) -> Path:
    """The gate's own access log: the truth."""
    return stack.state.root / "demo" / "access.log"


if __name__ == "__main__":
    sys.exit(main())
