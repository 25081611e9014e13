"""Settings of the invoicer, beside those that every service has (common.settings)."""

from pydantic import Field, field_validator

from common.settings import PeerSettings, StreamSettings
from invoicer.invoice import Seller
from invoicer.numbering import SERIES


class Settings(StreamSettings, PeerSettings):
    """Environment variables with the prefix TOLLGATE_."""

    port: int = Field(8104, ge=0, le=65535, description="Port to listen on.")
    database_url: str = Field(
        "postgresql://invoicer@127.0.0.1:5432/tollgate",
        description="PostgreSQL, as the role `invoicer`, which owns nothing.",
    )
    legal_entity: str = Field(
        "main", min_length=1, max_length=50, description="Key of the legal entity that issues."
    )
    series: str = Field(
        "TG", description="Series of invoice numbers; numbers are TG-000001, TG-000002, ..."
    )
    seller_name: str = Field(
        "Tollgate (set TOLLGATE_SELLER_NAME)", description="Who issues, as printed."
    )
    seller_address: list[str] = Field(
        default_factory=list, description="The issuer's address as printed, a JSON list of lines."
    )
    seller_vat_id: str = Field("", description="The issuer's VAT id as printed.")
    patience_seconds: float = Field(
        6 * 3600,
        ge=0,
        description=(
            "How long a run waits for edge nodes that have not sealed the period, in seconds;"
            " after that the invoices name them as missing."
        ),
    )
    grace_seconds: float = Field(
        5,
        ge=0,
        description="How far the watermark must be past what a run needs, for clocks that differ.",
    )
    future_seconds: float = Field(
        300, ge=0, description="A run may close a period that ends this far in the future."
    )
    run_seconds: float = Field(
        0.3, gt=0, description="How often open runs are looked at, in seconds."
    )
    font_paths: list[str] = Field(
        default_factory=list,
        description=(
            "Folders with more fonts for the PDFs, as a JSON list, for scripts that the embedded"
            " ones lack (Chinese, Arabic, ...). Use the same everywhere: they change the bytes."
        ),
    )

    @field_validator("series")
    @classmethod
    def refuse_odd_series(cls, value: str) -> str:
        """A series begins every number, so it must be printable and short."""
        if SERIES.fullmatch(value) is None:
            raise ValueError("a series is 1 to 20 of A-Z 0-9 . / -, beginning with A-Z or 0-9")
        return value

    @property
    def seller(self) -> Seller:
        """The issuer as a value."""
        return Seller(
            key=self.legal_entity,
            name=self.seller_name,
            address=self.seller_address,
            vat_id=self.seller_vat_id,
        )
