"""Where a run's tables go: two files for each run and, on request, the committed page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.report import to_json, to_markdown
from bench.run import Findings

BEGIN = "<!-- bench:begin (written by `make bench PUBLISH=1`; edit outside the markers) -->"
END = "<!-- bench:end -->"


def between(page: str, tables: str) -> str:
    """`page` with `tables` between the markers; ValueError when it has not exactly one pair."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs one {BEGIN} before one {END}")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{tables.strip()}\n\n{END}{after}"


def publish(page: Path, tables: str) -> None:
    """Rewrites the page."""
    page.write_text(between(page.read_text(), tables))


def write(path: Path, findings: Findings, facts: Mapping[str, Any], command: str) -> None:
    """The Markdown and the JSON file of a run, which are `path` with their suffixes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text(to_markdown(findings, facts, command))
    path.with_suffix(".json").write_text(to_json(findings, facts, command))
