"""Charges, runs, and invoices that cannot be changed."""

from alembic import op

from common.stream.schema import kernel_tables

revision = "0001"
down_revision = None

# Amounts and quantities are numeric without a limit: a charge from the bus must never be one that
# cannot be stored, because it would stop its partition. Rating has bounded them at the door.
CHARGES = """
CREATE TABLE invoicer.charges (
    id                 text        PRIMARY KEY,
    tenant             text        NOT NULL,
    currency           text        NOT NULL,
    period_from        timestamptz NOT NULL,
    period_to          timestamptz NOT NULL,
    closed             boolean     NOT NULL,
    version            bigint      NOT NULL,
    body               jsonb       NOT NULL,
    traceparent        text,
    invoiced_version   bigint,
    invoiced_quantity  numeric,
    invoiced_amount    numeric
);
COMMENT ON TABLE invoicer.charges IS
    'The latest version of every charge, and what finalised invoices hold of it (rounded)';
CREATE INDEX charges_pending ON invoicer.charges (tenant, currency, period_to)
    WHERE invoiced_version IS NULL OR version > invoiced_version;
"""

RUNS = """
CREATE TABLE invoicer.runs (
    id                uuid        PRIMARY KEY,
    through           timestamptz NOT NULL UNIQUE,
    state             text        NOT NULL CHECK (state IN ('waiting', 'invoicing', 'done')),
    created_at        timestamptz NOT NULL,
    patience_end      timestamptz NOT NULL,
    nodes_settled_at  timestamptz,
    invoicing_at      timestamptz,
    done_at           timestamptz,
    waits             jsonb       NOT NULL DEFAULT '[]',
    missing           jsonb       NOT NULL DEFAULT '[]',
    left_out          jsonb       NOT NULL DEFAULT '[]',
    traceparent       text,
    owner             text,
    epoch             bigint      NOT NULL DEFAULT 0,
    lease_expires_at  timestamptz
);
CREATE INDEX runs_open ON invoicer.runs (through) WHERE state <> 'done';
"""

INVOICES = """
CREATE TABLE invoicer.series (
    legal_entity  text   NOT NULL,
    series        text   NOT NULL,
    last_value    bigint NOT NULL,
    last_hash     text   NOT NULL,
    PRIMARY KEY (legal_entity, series)
);
COMMENT ON TABLE invoicer.series IS 'The counter row whose lock orders the invoices of a series';

CREATE TABLE invoicer.invoices (
    id             uuid        PRIMARY KEY,
    run            uuid        NOT NULL REFERENCES invoicer.runs,
    legal_entity   text        NOT NULL,
    series         text        NOT NULL,
    number_value   bigint      NOT NULL CHECK (number_value > 0),
    number         text        NOT NULL,
    state          text        NOT NULL CHECK (state IN ('finalised', 'paid', 'void')),
    state_at       timestamptz NOT NULL,
    tenant         text        NOT NULL,
    currency       text        NOT NULL,
    period_from    timestamptz NOT NULL,
    period_to      timestamptz NOT NULL,
    issued_at      timestamptz NOT NULL,
    total          numeric     NOT NULL,
    document       text        NOT NULL,
    hash           text        NOT NULL,
    previous_hash  text        NOT NULL,
    UNIQUE (legal_entity, series, number_value),
    UNIQUE (run, tenant, currency)
);
COMMENT ON COLUMN invoicer.invoices.document IS 'Canonical JSON; hash is its SHA-256';
CREATE INDEX invoices_tenant ON invoicer.invoices (tenant, id);

-- Lines come before their invoice, inside one transaction: once it is there, it is complete.
CREATE TABLE invoicer.invoice_lines (
    invoice         uuid    NOT NULL REFERENCES invoicer.invoices DEFERRABLE INITIALLY DEFERRED,
    position        integer NOT NULL,
    kind            text    NOT NULL CHECK (kind IN ('fee', 'usage', 'adjustment')),
    charge          text    NOT NULL,
    charge_version  bigint  NOT NULL,
    quantity        numeric NOT NULL,
    amount          numeric NOT NULL,
    residual        numeric NOT NULL,
    traceparent     text,
    PRIMARY KEY (invoice, position),
    UNIQUE (charge, charge_version)
);

CREATE TABLE invoicer.invoice_changes (
    revision  bigint PRIMARY KEY,
    tenant    text   NOT NULL,
    body      jsonb  NOT NULL
);
COMMENT ON TABLE invoicer.invoice_changes IS 'What is published to billing.invoices, in order';
"""

# Two walls, each enough alone: these triggers, which bind every role, and the rights below.
GUARDS = """
CREATE FUNCTION invoicer.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a finalised invoice cannot be changed: % on %.% is refused',
        TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE FUNCTION invoicer.guard_state() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    restored invoicer.invoices := NEW;
BEGIN
    restored.state := OLD.state;
    restored.state_at := OLD.state_at;
    IF restored IS DISTINCT FROM OLD THEN
        RAISE EXCEPTION 'invoice % is finalised: only its state may change', OLD.number
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT (OLD.state = 'finalised' AND NEW.state IN ('paid', 'void')) THEN
        RAISE EXCEPTION 'invoice % cannot go from % to %', OLD.number, OLD.state, NEW.state
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION invoicer.guard_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    sum_of_lines numeric;
    expected_hash text;
BEGIN
    SELECT coalesce(sum(amount), 0) INTO sum_of_lines
    FROM invoicer.invoice_lines
    WHERE invoice = NEW.id;
    IF sum_of_lines <> NEW.total THEN
        RAISE EXCEPTION 'invoice %: lines make %, the total says %',
            NEW.number, sum_of_lines, NEW.total
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    SELECT hash INTO expected_hash
    FROM invoicer.invoices
    WHERE legal_entity = NEW.legal_entity
      AND series = NEW.series
      AND number_value = NEW.number_value - 1;
    IF NEW.number_value > 1 AND expected_hash IS DISTINCT FROM NEW.previous_hash THEN
        RAISE EXCEPTION 'invoice % does not follow the one before it', NEW.number
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state <> 'finalised' THEN
        RAISE EXCEPTION 'invoice % begins as finalised', NEW.number
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE FUNCTION invoicer.guard_lines() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM invoicer.invoices WHERE id = NEW.invoice) THEN
        RAISE EXCEPTION 'invoice % is finalised: it takes no more lines', NEW.invoice
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER guard_insert BEFORE INSERT ON invoicer.invoices
    FOR EACH ROW EXECUTE FUNCTION invoicer.guard_insert();
CREATE TRIGGER guard_state BEFORE UPDATE ON invoicer.invoices
    FOR EACH ROW EXECUTE FUNCTION invoicer.guard_state();
CREATE TRIGGER refuse_change BEFORE DELETE OR TRUNCATE ON invoicer.invoices
    FOR EACH STATEMENT EXECUTE FUNCTION invoicer.refuse_change();
CREATE TRIGGER guard_lines BEFORE INSERT ON invoicer.invoice_lines
    FOR EACH ROW EXECUTE FUNCTION invoicer.guard_lines();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON invoicer.invoice_lines
    FOR EACH STATEMENT EXECUTE FUNCTION invoicer.refuse_change();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON invoicer.invoice_changes
    FOR EACH STATEMENT EXECUTE FUNCTION invoicer.refuse_change();
"""

# The service's role has what the schema's default privileges gave it; whatever it is called.
RIGHTS = """
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT table_name, grantee
        FROM information_schema.role_table_grants
        WHERE table_schema = 'invoicer'
          AND table_name IN ('invoices', 'invoice_lines', 'invoice_changes', 'series')
          AND grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON invoicer.%I FROM %I',
                       granted.table_name, granted.grantee);
        IF granted.table_name = 'invoices' THEN
            EXECUTE format('GRANT UPDATE (state, state_at) ON invoicer.invoices TO %I',
                           granted.grantee);
        ELSIF granted.table_name = 'series' THEN
            EXECUTE format('GRANT UPDATE (last_value, last_hash) ON invoicer.series TO %I',
                           granted.grantee);
        END IF;
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    op.execute(kernel_tables("invoicer"))
    for statement in (CHARGES, RUNS, INVOICES, GUARDS, RIGHTS):
        op.execute(statement)
