"""The tenant that a request is about."""

from fastapi import Request

from common.contracts.tenants import Tenant
from common.errors import ApiError
from invoicer.errors import CATALOG_NOT_READ, UNKNOWN_TENANT


def known_tenant(request: Request, key: str) -> Tenant:
    """The tenant as the catalog says it; raises `ApiError` when there is none, or when nobody can
    know yet."""
    followed = request.app.state.tenants
    if not followed.is_ready:
        raise ApiError(CATALOG_NOT_READ, "catalog.tenants has not been read to its end yet")
    tenant: Tenant | None = followed.items.get(key)
    if tenant is None:
        raise ApiError(UNKNOWN_TENANT, f"no tenant {key}")
    return tenant
