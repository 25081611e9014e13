"""A real nginx with the template that users copy, moved to free ports and a temporary directory."""

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.eventually import eventually

TEMPLATE = Path(__file__).parents[3] / "services/collector/nginx/tollgate.conf"
BINARY = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")

_MAIN = """
{user}
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    include {directory}/tollgate.conf;
}}
"""


@dataclass
class Nginx:
    """A running nginx; `log` is the access log that the collector tails."""

    url: str
    log: Path
    process: asyncio.subprocess.Process

    async def reopen(self) -> None:
        """What logrotate's postrotate does."""
        self.process.send_signal(signal.SIGUSR1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running_nginx(
    directory: Path,
    *,
    app_port: int,
    collector_port: int,
    keys: Mapping[str, str],
    patience: str = "20s",
) -> AsyncIterator[Nginx]:
    """Starts nginx before `app_port` and asks the collector at `collector_port`.

    `patience` with the collector is longer than the template's: a busy test machine must not turn
    a refusal into a request that was let through.
    """
    assert BINARY is not None
    port = free_port()
    log = directory / "tollgate.log"
    key_map = directory / "tollgate-keys.map"
    key_map.write_text("".join(f'"{key}" "{tenant}";\n' for key, tenant in keys.items()))
    conf = TEMPLATE.read_text()
    for marked, here in {
        "/etc/nginx/tollgate-keys.map": str(key_map),
        "127.0.0.1:8100": f"127.0.0.1:{collector_port}",
        "127.0.0.1:9000": f"127.0.0.1:{app_port}",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "/var/log/nginx/tollgate.log": str(log),
        "proxy_read_timeout 250ms": f"proxy_read_timeout {patience}",
    }.items():
        assert marked in conf
        conf = conf.replace(marked, here)
    (directory / "tollgate.conf").write_text(conf)
    main = directory / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(_MAIN.format(directory=directory, user=user))
    process = await asyncio.create_subprocess_exec(
        BINARY, "-p", str(directory), "-c", str(main), stderr=asyncio.subprocess.PIPE
    )
    try:
        await eventually(lambda: process.returncode is None and _listens(port))
        yield Nginx(f"http://127.0.0.1:{port}", log, process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
