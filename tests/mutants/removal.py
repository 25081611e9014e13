"""Ways to remove a protection, in a process that has not imported it yet."""

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any


class Stale(Exception):
    """The code is not what the catalogue says; it has to be brought up to date."""


@dataclass(frozen=True)
class Text:
    """`was` in the source of `module`, exactly once, becomes `becomes` as it is imported."""

    module: str
    was: str
    becomes: str

    @property
    def where(self) -> str:
        return self.module

    def apply(self) -> None:
        if self.module in sys.modules:
            raise Stale(f"{self.module} was imported before it could be changed")
        sys.meta_path.insert(0, _Finder(self))
        importlib.import_module(self.module)


@dataclass(frozen=True)
class Call:
    """`function` of a module of the test tree takes the protection away from `where`; `key`
    picks it from a table of such functions, which take pytest's monkeypatch."""

    where: str
    module: str
    function: str
    key: str | None = None

    def apply(self) -> None:
        found = getattr(importlib.import_module(self.module), self.function)
        if self.key is None:
            found()
        else:
            import pytest

            found[self.key](pytest.MonkeyPatch())


class _Finder:
    def __init__(self, text: Text) -> None:
        self._text = text

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._text.module:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.origin is None:
            raise Stale(f"there is no {name}")
        spec.loader = _Loader(name, spec.origin, self._text)
        return spec


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, text: Text) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType | Any:
        source = self.get_source(fullname) or ""
        found = source.count(self._text.was)
        if found != 1:
            raise Stale(f"{self.path} has this {found} times, not once:\n{self._text.was}")
        changed = source.replace(self._text.was, self._text.becomes)
        return compile(changed, self.path, "exec", dont_inherit=True)
