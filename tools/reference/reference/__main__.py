"""`python -m reference` writes the pages; with `--check` it fails when they are out of date."""

import sys
from pathlib import Path

from reference.pages import pages

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "reference"


def main() -> None:
    """Write or check every page."""
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        sys.exit(f"out of date: {', '.join(stale)}; run `make reference`")


if __name__ == "__main__":
    main()
