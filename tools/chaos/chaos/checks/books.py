"""The accounting identity, at every moment that was looked at and at the end. Pure."""

from collections.abc import Iterable, Mapping

PARTS = ("counted", "duplicates", "parked", "pending")


def identity_broken(books: Iterable[tuple[float, Mapping[str, int]]]) -> list[str]:
    """When received was not the sum of its parts, or what was processed shrank."""
    wrong = []
    most = dict.fromkeys(("counted", "duplicates", "parked"), 0)
    for at, account in books:
        total = sum(account[part] for part in PARTS)
        if account["received"] != total:
            wrong.append(
                f"{at:.3f} received {account['received']}, its parts make {total}: {account}"
            )
        for part, before in most.items():
            if account[part] < before:
                wrong.append(f"{at:.3f} {part} went from {before} back to {account[part]}")
            most[part] = max(before, account[part])
    return wrong
