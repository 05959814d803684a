"""Database servers of one's own, for tests and benchmarks.

    with PostgreSQLServer() as server:
        storage = open_storage(server.database("studies"))
        server.restart(pause=2.0)

No service, port or user of the machine is touched: a server listens on a free port, wants a
password, keeps its data when it restarts, and is gone with its folder in the end.
"""

from __future__ import annotations

from benchmarks.servers.mariadb import MariaDBServer
from benchmarks.servers.postgresql import PostgreSQLServer
from benchmarks.servers.redis import RedisServer
from benchmarks.servers.server import PASSWORD, Server

__all__ = ["KINDS", "PASSWORD", "MariaDBServer", "PostgreSQLServer", "RedisServer", "Server"]

KINDS: dict[str, type[Server]] = {
    "postgresql": PostgreSQLServer,
    "mysql": MariaDBServer,
    "redis": RedisServer,
}
