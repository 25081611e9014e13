"""Mutation testing of what rates: `make mutation` changes the code, one small place at a time,
and looks whether the unit tests notice.

mutmut wants packages beside their tests, so both are copied to `.mutation/`. There it leaves its
database too: run again, it goes on where it was stopped. Files that are named are looked at alone,
and anew. Survivors, with the change that nobody noticed, end up in `.mutation/survivors.txt`;
docs/mutation.md says what became of them.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SCRATCH: Final = ROOT / ".mutation"
PACKAGES: Final = {"rating": ROOT / "services/rating/rating", "common": ROOT / "libs/common/common"}
MUTATED: Final = (
    "rating/rate.py",
    "rating/units.py",
    "rating/price.py",
    "rating/prices/*",
    "rating/modifiers/*",
    "rating/proration.py",
    "rating/exact.py",
    "common/periods.py",
    "common/money.py",
)
TESTS: Final = (
    "tests/unit/rating",
    "tests/unit/common/test_money.py",
    "tests/unit/common/test_periods.py",
    "tests/unit/common/test_recurrence.py",
    "tests/support/routes.py",
)
WITHOUT: Final = ("test_rating_previews.py", "test_rating_spans.py")
"""Of histories rather than prices, and seconds for each mutant."""
CONFIGURATION: Final = f"""
[tool.pytest.ini_options]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
pythonpath = ["."]
addopts = "--import-mode=importlib -p no:cacheprovider"

[tool.mutmut]
source_paths = ["rating", "common"]
only_mutate = {list(MUTATED)}
also_copy = ["docs"]
timeout_multiplier = 5
pytest_add_cli_args_test_selection = ["tests"]
"""
CONFTEST: Final = '''"""Fewer examples: each mutant runs them again, and nothing is remembered."""

import pytest
from hypothesis import HealthCheck, settings

from common.periods import _edge_of
from tests.unit.rating import test_rating_oracle

test_rating_oracle.CASES = 1000
TILES = ("[1-America/Sao_Paulo]", "[31-Pacific/Apia]", "[29-America/Havana]", "[30-Asia/Kathmandu]")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [
        item
        for item in items
        if "tile_the_years" not in item.name or item.name.endswith(TILES)
    ]


@pytest.fixture(autouse=True)
def edges_are_worked_out_anew() -> None:
    _edge_of.cache_clear()


settings.register_profile(
    "mutation",
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("mutation")
'''
NOTICED: Final = ("killed", "timeout", "suspicious", "segfault", "caught by type check")
UNCHECKED: Final = "not checked"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("files", nargs="*", help="only these, such as rating/price.py")
    parser.add_argument("--children", default="2", help="how many mutants at a time")
    asked = parser.parse_args()
    names = [file.removesuffix(".py").replace("/", ".") + ".*" for file in asked.files]
    prepare()
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    run = [mutmut, "run", "--max-children", asked.children, *names]
    subprocess.run(run, cwd=SCRATCH, check=False)
    results = subprocess.run(
        [mutmut, "results", "--all", "true"],
        cwd=SCRATCH,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.findall(r"^\s*(\S+): (.+)$", results, re.M)
    counts = Counter(status for _, status in found)
    left = [name for name, status in found if status not in (*NOTICED, UNCHECKED)]
    with (SCRATCH / "survivors.txt").open("w") as out:
        for name in left:
            shown = subprocess.run(
                [mutmut, "show", name], cwd=SCRATCH, check=False, capture_output=True, text=True
            )
            out.write(shown.stdout + "\n")
    noticed = sum(counts[status] for status in NOTICED)
    looked_at = len(found) - counts[UNCHECKED]
    print(f"{noticed:,} of {looked_at:,} mutants noticed, of {len(found):,}: {dict(counts)}")
    print(f"survivors stand in {SCRATCH / 'survivors.txt'}")
    return 0


def prepare() -> None:
    """Copy what is mutated and what tests it, beside each other."""
    SCRATCH.mkdir(exist_ok=True)
    # Which tests reach a new function mutmut asks of new tests only, unless it asks anew.
    (SCRATCH / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    for name, source in PACKAGES.items():
        copy(source, SCRATCH / name)
    shutil.rmtree(SCRATCH / "tests", ignore_errors=True)
    for test in TESTS:
        copy(ROOT / test, SCRATCH / test)
    for name in WITHOUT:
        (SCRATCH / "tests/unit/rating" / name).unlink()
    for package in ("", "unit", "unit/rating", "unit/common", "support"):
        (SCRATCH / "tests" / package / "__init__.py").touch()
    (SCRATCH / "tests/conftest.py").write_text(CONFTEST)
    copy(ROOT / "docs", SCRATCH / "docs")
    (SCRATCH / "pyproject.toml").write_text(CONFIGURATION)


def copy(source: Path, target: Path) -> None:
    """Keeps modification times: mutmut makes mutants again of what is newer."""
    if source.is_dir():
        shutil.copytree(
            source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


if __name__ == "__main__":
    sys.exit(main())
