"""What both PostgreSQL servers (TimescaleDB's root, the wheel) are started with."""


def superuser_dsn(port: int, database: str = "postgres") -> str:
    """The superuser's address: loopback only, trusted, for this machine's stack alone."""
    return f"postgresql://postgres@127.0.0.1:{port}/{database}"


def server_settings(port: int) -> dict[str, str]:
    """Settings for a small shared machine; TCP on loopback only, no Unix socket.

    Commits are flushed to disk as in production: what the demo and the tests check includes a
    killed server.
    """
    return {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "300",
        "max_worker_processes": "32",
        "shared_buffers": "192MB",
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_checkpoints": "off",
    }
