"""A PostgreSQL with pgvector of our own, for when no `DATABASE_URL` is given.

A small keeper process owns the server. Every Gifty process holds a connection to the keeper while it needs the
database; when the last one lets go (or dies), the keeper stops the server and leaves.
"""

from gifty.core.embedded.client import EmbeddedPostgres, EmbeddedPostgresFailed

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresFailed"]
