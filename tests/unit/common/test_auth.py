"""Scopes, tokens, and the door that must not stand open."""

from hashlib import sha256

import pytest

from common.auth import SCOPES, check, scope
from common.errors import ApiError
from common.settings import ServiceSettings, UnsafeSettings, is_loopback
from tests.unit.common.test_guard import client

TOKEN = "s3cret"
DIGEST = sha256(TOKEN.encode()).hexdigest()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "192.0.2.1", "example.org", "127.0.0.1.x"])
def test_an_open_door_is_refused_and_says_what_to_set(host: str) -> None:
    with pytest.raises(UnsafeSettings, match="TOLLGATE_AUTH_TOKENS"):
        ServiceSettings(host=host)
    assert ServiceSettings(host=host, auth_tokens={DIGEST: ["*"]}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_no_tokens(host: str) -> None:
    assert is_loopback(host)
    assert ServiceSettings(host=host).auth_tokens == {}


def test_a_token_in_clear_is_refused() -> None:
    with pytest.raises(UnsafeSettings, match="SHA-256"):
        ServiceSettings(auth_tokens={TOKEN: ["*"]})


@pytest.mark.parametrize("header", [None, "", "Bearer", f"Basic {TOKEN}", "Bearer other", TOKEN])
def test_who_is_not_known(header: str | None) -> None:
    with pytest.raises(ApiError) as error:
        check(header, {DIGEST: ["*"]}, "usage:read")
    assert error.value.code.status == 401
    assert error.value.headers == {"WWW-Authenticate": "Bearer"}


def test_what_a_token_may() -> None:
    check(f"Bearer {TOKEN}", {DIGEST: ["usage:read"]}, "usage:read")
    check(f"bearer {TOKEN}", {DIGEST.upper(): ["*"]}, "usage:read")
    check(None, {}, "usage:read")
    with pytest.raises(ApiError) as error:
        check(f"Bearer {TOKEN}", {DIGEST: ["usage:write"]}, "usage:read")
    assert error.value.code.status == 403


def test_a_scope_that_is_not_declared_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="not declared"):
        scope("anything:goes")
    assert all(meaning.endswith(".") for meaning in SCOPES.values())


async def test_a_route_asks_for_its_scope() -> None:
    tokens = {DIGEST: ["meters:write"], sha256(b"poor").hexdigest(): ["usage:read"]}
    async with client(auth_tokens=tokens) as http:
        anonymous = await http.put("/v1/things", json={})
        wrong = await http.put("/v1/things", json={}, headers={"Authorization": "Bearer poor"})
        right = await http.put("/v1/things", json={}, headers={"Authorization": f"Bearer {TOKEN}"})
    assert [r.status_code for r in (anonymous, wrong, right)] == [401, 403, 200]
    assert anonymous.headers["WWW-Authenticate"] == "Bearer"
