"""The models have the functions that the stages call, with the arguments of the originals."""

import inspect

import pytest

import common.usage
from ingest.ledger import Ledger
from tests.simulation.models import install
from tests.simulation.models.ledger import ModelLedger
from tests.simulation.models.usage import ModelUsage


def arguments(function: object) -> list[tuple[str, object]]:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return [(one.name, one.kind) for one in signature.parameters.values()]


@pytest.mark.parametrize(("store", "model"), install.MODELS)
def test_a_model_takes_what_its_store_takes(store: object, model: object) -> None:
    found = install.functions(store, model)  # type: ignore[arg-type]
    assert found
    for name, (original, modelled) in found.items():
        assert arguments(modelled) == arguments(original), name


@pytest.mark.parametrize(
    ("original", "model", "names"),
    [
        (Ledger, ModelLedger, ("admit", "decided", "forget_before")),
        (common.usage.UsageProjection, ModelUsage, ("__init__", "upsert", "usages")),
    ],
)
def test_classes_too(original: type, model: type, names: tuple[str, ...]) -> None:
    for name in names:
        assert arguments(getattr(model, name)) == arguments(getattr(original, name)), name
