"""The kernel's tables, which every service that processes a stream keeps in its own schema."""


def kernel_tables(schema: str) -> str:
    """SQL of the kernel's tables, for a service's first migration."""
    return f"""
    CREATE TABLE {schema}.partition_progress (
        topic             text        NOT NULL,
        partition         integer     NOT NULL,
        owner             text,
        epoch             bigint      NOT NULL DEFAULT 0,
        lease_expires_at  timestamptz,
        next_offset       bigint      NOT NULL,
        emitted_offset    bigint      NOT NULL,
        seen              jsonb       NOT NULL DEFAULT '{{}}',
        watermarks        jsonb       NOT NULL DEFAULT '{{}}',
        inputs            integer     NOT NULL DEFAULT 0,
        watermark_ms      bigint,
        PRIMARY KEY (topic, partition)
    ) WITH (fillfactor = 50);

    CREATE TABLE {schema}.workers (
        topic       text        NOT NULL,
        worker      text        NOT NULL,
        expires_at  timestamptz NOT NULL,
        PRIMARY KEY (topic, worker)
    );

    CREATE TABLE {schema}.outboxes (
        name              text        PRIMARY KEY,
        owner             text,
        epoch             bigint      NOT NULL DEFAULT 0,
        lease_expires_at  timestamptz,
        emitted_revision  bigint      NOT NULL DEFAULT 0
    );

    CREATE TABLE {schema}.revisions (
        name   text   PRIMARY KEY,
        value  bigint NOT NULL DEFAULT 0
    );

    CREATE TABLE {schema}.idempotency_keys (
        operation   text        NOT NULL,
        key         text        NOT NULL,
        digest      bytea       NOT NULL,
        status      integer,
        response    jsonb,
        created_at  timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (operation, key)
    );
    """
