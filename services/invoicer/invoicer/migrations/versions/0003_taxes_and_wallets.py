"""Taxes on invoices, and wallets that pay them."""

from alembic import op

revision = "0003"
down_revision = "0002"

# The defaults are for the rows that are there, which a constant default does not rewrite. What was
# invoiced until now was invoiced without tax, and so are its corrections; but what was settled
# without a line, because it was withdrawn, has no taxes yet.
TAXES = """
ALTER TABLE invoicer.charges ADD COLUMN invoiced_taxes jsonb DEFAULT '[]';
ALTER TABLE invoicer.charges ALTER COLUMN invoiced_taxes DROP DEFAULT;
COMMENT ON COLUMN invoicer.charges.invoiced_taxes IS
    'Of its first line; corrections have the same. NULL: no invoice has a line of it';
UPDATE invoicer.charges
SET invoiced_taxes = NULL
WHERE invoiced_version IS NOT NULL
  AND NOT EXISTS (SELECT FROM invoicer.invoice_lines WHERE charge = charges.id);

ALTER TABLE invoicer.invoices
    ADD COLUMN tax              numeric NOT NULL DEFAULT 0,
    ADD COLUMN paid_from_wallet numeric NOT NULL DEFAULT 0;
ALTER TABLE invoicer.invoices
    ALTER COLUMN tax DROP DEFAULT,
    ALTER COLUMN paid_from_wallet DROP DEFAULT;
COMMENT ON COLUMN invoicer.invoices.total IS 'The sum of the lines, and tax';
"""

WALLETS = """
CREATE TABLE invoicer.wallets (
    tenant       text    NOT NULL,
    currency     text    NOT NULL,
    last_number  bigint  NOT NULL,
    balance      numeric NOT NULL CHECK (balance >= 0),
    PRIMARY KEY (tenant, currency)
);
COMMENT ON TABLE invoicer.wallets IS
    'What tenants paid in advance; the row whose lock orders the entries of a wallet';

CREATE TABLE invoicer.wallet_entries (
    tenant     text        NOT NULL,
    currency   text        NOT NULL,
    number     bigint      NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('top_up', 'payout', 'invoice')),
    amount     numeric     NOT NULL,
    balance    numeric     NOT NULL,
    invoice    uuid        UNIQUE REFERENCES invoicer.invoices,
    reference  text        NOT NULL,
    reason     text        NOT NULL,
    actor      text        NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (tenant, currency, number),
    CHECK ((kind = 'top_up') = (amount > 0)),
    CHECK ((kind = 'invoice') = (invoice IS NOT NULL))
);
COMMENT ON COLUMN invoicer.wallet_entries.balance IS 'Of the wallet, after the entry';

CREATE FUNCTION invoicer.guard_wallet_entry() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    before numeric;
    paid numeric;
BEGIN
    SELECT balance INTO before
    FROM invoicer.wallet_entries
    WHERE tenant = NEW.tenant AND currency = NEW.currency AND number = NEW.number - 1;
    IF NEW.number > 1 AND before IS NULL OR coalesce(before, 0) + NEW.amount <> NEW.balance THEN
        RAISE EXCEPTION 'entry % of the wallet of % does not follow the one before it',
            NEW.number, NEW.tenant
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.invoice IS NOT NULL THEN
        SELECT paid_from_wallet INTO paid
        FROM invoicer.invoices
        WHERE id = NEW.invoice AND tenant = NEW.tenant AND currency = NEW.currency;
        IF paid IS DISTINCT FROM -NEW.amount THEN
            RAISE EXCEPTION 'the wallet of % pays %, invoice % says %',
                NEW.tenant, -NEW.amount, NEW.invoice, paid
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    RETURN NEW;
END
$$;

CREATE UNIQUE INDEX wallet_entries_reference
    ON invoicer.wallet_entries (tenant, currency, kind, reference)
    WHERE kind <> 'invoice';
COMMENT ON INDEX invoicer.wallet_entries_reference IS
    'A payment moves money once, whoever tells of it how often';

CREATE FUNCTION invoicer.guard_balance() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.last_number > 0 AND NOT EXISTS (
        SELECT
        FROM invoicer.wallet_entries
        WHERE tenant = NEW.tenant
          AND currency = NEW.currency
          AND number = NEW.last_number
          AND balance = NEW.balance
    ) OR NEW.last_number = 0 AND NEW.balance <> 0 THEN
        RAISE EXCEPTION 'the wallet of % holds % without an entry that says so',
            NEW.tenant, NEW.balance
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER guard_balance AFTER INSERT OR UPDATE ON invoicer.wallets
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION invoicer.guard_balance();
CREATE TRIGGER guard_wallet_entry BEFORE INSERT ON invoicer.wallet_entries
    FOR EACH ROW EXECUTE FUNCTION invoicer.guard_wallet_entry();
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON invoicer.wallet_entries
    FOR EACH STATEMENT EXECUTE FUNCTION invoicer.refuse_change();
"""

GUARDS = """
CREATE OR REPLACE FUNCTION invoicer.guard_insert() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    sum_of_lines numeric;
    expected_hash text;
BEGIN
    -- By a process of before, which knows no taxes. Not a fault of the invoice: it tries again.
    IF NEW.tax IS NULL OR NEW.paid_from_wallet IS NULL THEN
        RAISE EXCEPTION 'invoice %: issued by a process that knows no taxes', NEW.number
            USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    SELECT coalesce(sum(amount), 0) INTO sum_of_lines
    FROM invoicer.invoice_lines
    WHERE invoice = NEW.id;
    IF sum_of_lines + NEW.tax <> NEW.total THEN
        RAISE EXCEPTION 'invoice %: lines and tax make %, the total says %',
            NEW.number, sum_of_lines + NEW.tax, NEW.total
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.paid_from_wallet NOT BETWEEN 0 AND greatest(NEW.total, 0) THEN
        RAISE EXCEPTION 'invoice %: the wallet pays % of %',
            NEW.number, NEW.paid_from_wallet, NEW.total
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

CREATE FUNCTION invoicer.guard_payment() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.paid_from_wallet > 0
       AND NOT EXISTS (SELECT FROM invoicer.wallet_entries WHERE invoice = NEW.id) THEN
        RAISE EXCEPTION 'invoice %: no wallet has paid %', NEW.number, NEW.paid_from_wallet
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER guard_payment AFTER INSERT ON invoicer.invoices
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION invoicer.guard_payment();
"""

# As for invoices (0001): the service's role may move a balance, and only add entries.
RIGHTS = """
DO $$
DECLARE
    granted record;
BEGIN
    FOR granted IN
        SELECT DISTINCT table_name, grantee
        FROM information_schema.role_table_grants
        WHERE table_schema = 'invoicer'
          AND table_name IN ('wallets', 'wallet_entries')
          AND grantee <> current_user
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON invoicer.%I FROM %I',
                       granted.table_name, granted.grantee);
        IF granted.table_name = 'wallets' THEN
            EXECUTE format('GRANT UPDATE (last_number, balance) ON invoicer.wallets TO %I',
                           granted.grantee);
        END IF;
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    for statement in (TAXES, WALLETS, GUARDS, RIGHTS):
        op.execute(statement)
