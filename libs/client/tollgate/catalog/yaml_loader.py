"""YAML as a catalog is written in it: what is refused here, and in which line."""

from typing import Any

import yaml

from tollgate.errors import TollgateError


class BadYaml(TollgateError):
    """A text is not YAML, or says something twice; the message begins with the line."""


def load(text: str) -> Any:
    """The value of a document. YAML's own loader takes the last of several equal keys, so that a
    price that somebody believes in is silently another."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise BadYaml(f"{_line(error.problem_mark)}not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise BadYaml(f"not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise BadYaml("not YAML: nested too deep") from None
    except ValueError as error:  # Such as the 30th of February.
        raise BadYaml(f"not YAML: {error}") from None


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """While it is as it was written: later, keys that are merged in (`<<`) stand twice by
        right."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    line = _line(key.start_mark)
                    raise BadYaml(f"{line}the key {key.value!r} stands twice in one mapping")
                seen.add(key.value)
        return node


def _line(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}: "
