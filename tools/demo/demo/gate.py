"""What stands in front of the application: nginx, or Tollgate's own middleware without one."""

import sys
from dataclasses import dataclass
from pathlib import Path

from demo.load import TENANTS
from stack.folders import CHECKOUT
from stack.ports import Ports
from stack.program import Program
from stack.readiness import port_answers

TEMPLATE = CHECKOUT / "services" / "collector" / "nginx" / "tollgate.conf"


@dataclass(frozen=True)
class Gate:
    """A gate's processes, its address, and the access log that is the truth."""

    name: str
    programs: tuple[Program, ...]
    url: str
    log: Path


def nginx(folder: Path, ports: Ports, log: Path) -> Gate:
    """A real nginx with the configuration that users copy, in front of a small application."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder / "tollgate-keys.map"
    keys.write_text("".join(f'"{t.api_key}" "{t.key}";\n' for t in TENANTS))
    site = folder / "tollgate.conf"
    site.write_text(
        adapted(
            TEMPLATE.read_text(encoding="utf-8"),
            {
                "/etc/nginx/tollgate-keys.map": str(keys),
                "server 127.0.0.1:8100 ": f"server 127.0.0.1:{ports.service(0)} ",
                "server 127.0.0.1:9000;": f"server 127.0.0.1:{ports.upstream};",
                "listen 8080;": f"listen 127.0.0.1:{ports.edge};",
                "/var/log/nginx/tollgate.log": str(log),
            },
        )
    )
    main = folder / "nginx.conf"
    main.write_text(MAIN.format(folder=folder, site=site))
    upstream = Program(
        name="application",
        command=uvicorn("demo.upstream:app", ports.upstream),
        folder=folder,
        is_ready=lambda: port_answers(ports.upstream),
        ports=(ports.upstream,),
    )
    proxy = Program(
        name="nginx",
        command=("nginx", "-p", str(folder), "-c", str(main), "-e", str(folder / "error.log")),
        folder=folder,
        is_ready=lambda: port_answers(ports.edge),
        ports=(ports.edge,),
        stop_signal="QUIT",
    )
    return Gate("nginx", (upstream, proxy), f"http://127.0.0.1:{ports.edge}", log)


def middleware(folder: Path, ports: Ports, log: Path) -> Gate:
    """The same application, guarded by Tollgate's ASGI middleware, logging for itself."""
    folder.mkdir(parents=True, exist_ok=True)
    application = Program(
        name="application",
        command=uvicorn("demo.guarded:build", ports.edge, "--factory"),
        folder=folder,
        is_ready=lambda: port_answers(ports.edge),
        environment={
            "DEMO_ACCESS_LOG": str(log),
            "TOLLGATE_COLLECTOR_URL": f"http://127.0.0.1:{ports.service(0)}",
            "TOLLGATE_THROTTLER_URL": f"http://127.0.0.1:{ports.service(5)}",
        },
        ports=(ports.edge,),
    )
    return Gate("Tollgate's middleware", (application,), f"http://127.0.0.1:{ports.edge}", log)


def adapted(template: str, changes: dict[str, str]) -> str:
    """The template with each marked place changed; each must stand in it exactly once."""
    for old, new in changes.items():
        if template.count(old) != 1:
            raise ValueError(f"{TEMPLATE.name} has {old!r} {template.count(old)} times, not once")
        template = template.replace(old, new)
    return template


def uvicorn(application: str, port: int, *more: str) -> tuple[str, ...]:
    """The command of a small application server."""
    options = ("--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--log-level")
    return (sys.executable, "-m", "uvicorn", application, *options, "warning", *more)


MAIN = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {site};
}}
"""
