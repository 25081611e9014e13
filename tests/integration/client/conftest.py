"""The throttler's world serves here too: the SDK follows a real throttler."""

from tests.integration.throttler.conftest import world

__all__ = ["world"]
