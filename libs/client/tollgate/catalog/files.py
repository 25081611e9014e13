"""Catalogs in YAML: mappings of kinds to lists of bodies, in one file or in a folder of files."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from tollgate.catalog.yaml_loader import BadYaml, load
from tollgate.errors import TollgateError

KINDS: Final = ("meters", "plans", "tenants", "subscriptions", "rules")
Catalog = dict[str, list["Item"]]


class BadCatalog(TollgateError):
    """A file is not a catalog; the message says where."""


@dataclass(frozen=True)
class Item:
    """One body of a catalog. `where`: the file and the place in it, for messages."""

    kind: str
    name: str
    body: dict[str, Any]
    where: str


def read_files(path: Path) -> Catalog:
    """The catalog in a file, in standard input for `-`, or in all `.yaml` and `.yml` files of a
    folder and its folders."""
    if str(path) == "-":
        return merge([read(_text(sys.stdin.buffer.read(), "standard input"))])
    if not path.is_dir():
        return merge([read(_content(path), str(path))])
    found = yaml_files(path)
    if not found:
        raise BadCatalog(f"{path}: no .yaml files")
    return merge(read(_content(one), str(one.relative_to(path))) for one in found)


def yaml_files(folder: Path) -> list[Path]:
    """The files that a folder's catalog is read from: what is hidden is not."""
    return sorted(
        one
        for one in folder.rglob("*")
        if one.suffix in (".yaml", ".yml")
        and one.is_file()
        and not any(part.startswith(".") for part in one.relative_to(folder).parts)
    )


def _content(path: Path) -> str:
    try:
        return _text(path.read_bytes(), str(path))
    except OSError as error:
        raise BadCatalog(f"{path}: {error.strerror or error}") from None


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadCatalog(f"{where}: line {line}: is not UTF-8") from None


def read(text: str, where: str = "") -> Catalog:
    """The catalog in a YAML document."""
    at = f"{where}: " if where else ""
    try:
        found = load(text)
    except BadYaml as error:
        raise BadCatalog(f"{at}{error}") from None
    if not isinstance(found, dict):
        raise BadCatalog(f"{at}a catalog is a mapping with some of {', '.join(KINDS)}")
    unknown = sorted(set(map(str, found)) - set(KINDS))
    if unknown:
        raise BadCatalog(f"{at}unknown: {', '.join(unknown)}; known: {', '.join(KINDS)}")
    return {
        kind: [_item(kind, place, value, at) for place, value in enumerate(_items(found, kind, at))]
        for kind in KINDS
    }


def merge(catalogs: Iterable[Catalog]) -> Catalog:
    """One catalog of several; a name that two of them hold is refused."""
    merged: Catalog = {kind: [] for kind in KINDS}
    places: dict[tuple[str, str], str] = {}
    for catalog in catalogs:
        for kind, items in catalog.items():
            for item in items:
                known = places.setdefault((kind, item.name), item.where)
                if known != item.where and kind != "subscriptions":
                    raise BadCatalog(f"{item.where}: {item.name} stands at {known} already")
            merged[kind] += items
    return merged


def _items(found: Mapping[str, Any], kind: str, at: str) -> list[Any]:
    items = found.get(kind) or []
    if not isinstance(items, list):
        raise BadCatalog(f"{at}{kind}: must be a list")
    return items


def _item(kind: str, place: int, value: Any, at: str) -> Item:
    where = f"{at}{kind}[{place}]"
    if not isinstance(value, dict):
        raise BadCatalog(f"{where}: must be a mapping")
    names = ("tenant", "plan") if kind == "subscriptions" else (name_of(kind),)
    for name in names:
        if not isinstance(value.get(name), str):
            raise BadCatalog(f"{where}.{name}: missing, or not a string")
    body = {key: one for key, one in value.items() if key != names[0] or kind == "subscriptions"}
    return Item(kind, " on ".join(value[name] for name in names), plain(body), where)


def name_of(kind: str) -> str:
    """The field that names a body of a kind."""
    return "key" if kind == "tenants" else "slug"


def plain(value: Any) -> Any:
    """YAML values as the APIs take them: times as RFC 3339 UTC, a date as its UTC midnight."""
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return value


def write(catalog: Mapping[str, list[dict[str, Any]]]) -> str:
    """A catalog as a YAML document: equal catalogs are equal bytes."""
    said = {kind: catalog[kind] for kind in KINDS if catalog.get(kind)}
    return yaml.safe_dump(said, allow_unicode=True, sort_keys=False, width=100) if said else ""


def write_folder(
    catalog: Mapping[str, list[dict[str, Any]]], folder: Path, *, replace: bool = False
) -> list[Path]:
    """A catalog as a folder: `meters.yaml`, and a file for each plan and rule. Other files of a
    catalog in the folder would be read with them: with `replace` they are removed, otherwise, and
    where there are YAML files of something else, `BadCatalog` is raised before anything is
    written."""
    texts = {Path("meters.yaml"): write({"meters": catalog.get("meters", [])})}
    for kind in ("plans", "rules"):
        for body in catalog.get(kind, []):
            texts[Path(kind, f"{body['slug']}.yaml")] = write({kind: [body]})
    files = {folder / path: text for path, text in texts.items() if text}
    try:
        others = [path for path in yaml_files(folder) if path not in files]
        strange = [path for path in others if not _is_catalog(path)]
        if strange:
            raise BadCatalog(
                f"{_named(strange)}: no catalog, but would be read with it: name another folder"
            )
        if others and not replace:
            raise BadCatalog(
                f"{_named(others)}: not of this export, and would be read with it: "
                "--replace removes"
            )
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for path in others:
            path.unlink()
    except OSError as error:
        raise BadCatalog(f"{error.filename or folder}: {error.strerror or error}") from None
    return list(files)


def _is_catalog(path: Path) -> bool:
    try:
        read(_content(path), str(path))
    except BadCatalog:
        return False
    return True


def _named(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:5]) + (", ..." if paths[5:] else "")
