"""How a client reaches the database under test: the connection string exactly as a customer copies
it, from the environment variable DATABASE_URI."""

import os
from urllib.parse import unquote, urlsplit

URI = os.environ["DATABASE_URI"]
# File with the certificate authority's certificate.
CA_FILE = os.environ.get("DATABASE_CA_FILE")

_parts = urlsplit(URI)
HOST = _parts.hostname
PORT = _parts.port
USER = unquote(_parts.username or "")
PASSWORD = unquote(_parts.password or "")
NAME = _parts.path.lstrip("/")
# `require` on the copied string; a plain PostgreSQL for trying these scripts may have no TLS.
SSL_MODE = dict(pair.split("=", 1) for pair in _parts.query.split("&") if pair).get("sslmode", "prefer")
SQLALCHEMY_URI = URI.replace("postgresql://", "postgresql+psycopg://", 1)
