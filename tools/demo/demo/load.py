"""The tenants' traffic: one load generator each, bounded in time and rate."""

import asyncio
import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from shutil import which

import httpx


@dataclass(frozen=True)
class Tenant:
    """A tenant's traffic: `connections` times `rate` requests a second to `path`."""

    key: str
    path: str
    connections: int
    rate: int

    @property
    def api_key(self) -> str:
        """The key that the tenant sends; the gate maps it to the tenant."""
        return f"demo-key-of-{self.key}"


TENANTS = (
    Tenant("aurora", "/tiles", 2, 40),
    Tenant("basalt", "/query", 3, 25),
    Tenant("cobalt", "/robots", 3, 35),
    Tenant("delta", "/ships", 1, 30),
)
"""cobalt is the one that will cross its quota."""

HEADER = "X-Api-Key"


class HeyLoad:
    """Traffic by hey, a real load generator, one process a tenant."""

    def __init__(self, base_url: str, seconds: int) -> None:
        self._processes = {
            tenant.key: subprocess.Popen(
                [
                    *("hey", "-z", f"{seconds}s", "-c", str(tenant.connections)),
                    *("-q", str(tenant.rate), "-t", "10", "-H", f"{HEADER}: {tenant.api_key}"),
                    base_url + tenant.path,
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for tenant in TENANTS
        }
        self._limit_seconds = seconds + 30

    def join(self) -> dict[str, Counter[str]]:
        """Answers by status, as each tenant saw them."""
        return {
            key: parse_hey(process.communicate(timeout=self._limit_seconds)[0])
            for key, process in self._processes.items()
        }

    @staticmethod
    def available() -> bool:
        return which("hey") is not None


def parse_hey(report: str) -> Counter[str]:
    """Statuses (and errors) from what hey prints."""
    found: Counter[str] = Counter()
    for status, count in re.findall(r"^\s*\[(\d{3})\]\s+(\d+) responses", report, re.MULTILINE):
        found[status] += int(count)
    for count in re.findall(r"^\s*\[(\d+)\]\s+\w+ \"?http", report, re.MULTILINE):
        found["error"] += int(count)
    return found


class HttpxLoad:
    """The same traffic from this process, for machines without a load generator."""

    def __init__(self, base_url: str, seconds: int) -> None:
        self._base_url, self._seconds = base_url, seconds

    def join(self) -> dict[str, Counter[str]]:
        """Send the traffic; answers by status, as each tenant saw them."""
        return asyncio.run(self._send())

    async def _send(self) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {tenant.key: Counter() for tenant in TENANTS}
        deadline = time.monotonic() + self._seconds
        async with (
            httpx.AsyncClient(base_url=self._base_url, timeout=10) as client,
            asyncio.TaskGroup() as group,
        ):
            for tenant in TENANTS:
                for _ in range(tenant.connections):
                    group.create_task(_connection(client, tenant, deadline, found[tenant.key]))
        return found


async def _connection(
    client: httpx.AsyncClient, tenant: Tenant, deadline: float, found: Counter[str]
) -> None:
    pause_seconds = 1 / tenant.rate
    due = time.monotonic()
    while (now := time.monotonic()) < deadline:
        if now < due:
            await asyncio.sleep(due - now)
        due += pause_seconds
        try:
            answer = await client.get(tenant.path, headers={HEADER: tenant.api_key})
            found[str(answer.status_code)] += 1
        except httpx.HTTPError:
            found["error"] += 1
