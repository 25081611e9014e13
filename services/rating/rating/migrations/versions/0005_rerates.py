"""Re-ratings that somebody asks for: previewed, approved, applied once."""

from alembic import op

revision = "0005"
down_revision = "0004"

SQL = """
CREATE TABLE rating.rerates (
    id           text        PRIMARY KEY,
    created_at   timestamptz NOT NULL,
    created_by   text        NOT NULL,
    reason       text        NOT NULL,
    request      jsonb       NOT NULL,
    digest       bytea       NOT NULL,
    summary      jsonb       NOT NULL,
    state        text        NOT NULL CHECK (state IN ('preview', 'applied', 'discarded')),
    decided_at   timestamptz,
    decided_by   text,
    CHECK ((state = 'preview') = (decided_at IS NULL))
);
COMMENT ON COLUMN rating.rerates.digest IS
    'of every charge before and after: an approval applies what was previewed, or nothing';

CREATE TABLE rating.rerate_lines (
    rerate      text    NOT NULL REFERENCES rating.rerates,
    number      integer NOT NULL,
    tenant      text    NOT NULL,
    charge      text    NOT NULL,
    before      jsonb,
    after       jsonb   NOT NULL,
    PRIMARY KEY (rerate, number)
);
CREATE INDEX rerate_lines_by_tenant ON rating.rerate_lines (rerate, tenant, number);
COMMENT ON COLUMN rating.rerate_lines.before IS 'the charge as it was; NULL: there was none';

CREATE FUNCTION rating.keep_rerates() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state <> 'preview'
       OR (OLD.request, OLD.digest, OLD.summary, OLD.reason, OLD.created_by)
          IS DISTINCT FROM (NEW.request, NEW.digest, NEW.summary, NEW.reason, NEW.created_by)
    THEN
        RAISE EXCEPTION 'a re-rating is kept as it was previewed and decided';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER rerates_are_kept
    BEFORE UPDATE OR DELETE ON rating.rerates
    FOR EACH ROW EXECUTE FUNCTION rating.keep_rerates();
"""


def upgrade() -> None:
    op.execute(SQL)
