"""psycopg: TLS from the first byte, certificate and host name checked; pipelining; prepared
statements; LISTEN; a cancelled query; errors that leave the connection usable."""

import sys
import threading
import time

import psycopg

from connection import CA_FILE, URI


def connect(**options: object) -> psycopg.Connection:
    if CA_FILE:
        options = {"sslmode": "verify-full", "sslrootcert": CA_FILE, "sslnegotiation": "direct", **options}
    return psycopg.connect(URI, autocommit=True, **options)


def main() -> None:
    assert psycopg.pq.version() >= 180000, "direct TLS and protocol 3.2 need libpq 17 and 18"
    options = {"max_protocol_version": "3.2"} if "--protocol-3.2" in sys.argv else {}
    with connect(**options) as connection:
        if CA_FILE:
            assert connection.pgconn.ssl_in_use

        with connection.pipeline():
            cursors = [connection.execute("select %s::int", (n,)) for n in range(200)]
        assert [cursor.fetchone()[0] for cursor in cursors] == list(range(200))

        for n in range(10):
            row = connection.execute("select %s::int + 1", (n,), prepare=True).fetchone()
            assert row == (n + 1,)

        try:
            connection.execute("select 1/0")
        except psycopg.errors.DivisionByZero:
            pass
        else:
            raise AssertionError("an error of the server did not arrive")
        assert connection.execute("select 1").fetchone() == (1,)

        connection.execute("listen news")
        with connect(**options) as other:
            other.execute("notify news, 'hello'")
        notice = next(connection.notifies(timeout=10, stop_after=1))
        assert (notice.channel, notice.payload) == ("news", "hello")

        timer = threading.Timer(0.5, connection.cancel_safe)
        timer.start()
        started = time.monotonic()
        try:
            connection.execute("select pg_sleep(60)")
        except psycopg.errors.QueryCanceled:
            pass
        else:
            raise AssertionError("the query was not cancelled")
        assert time.monotonic() - started < 20
        timer.join()
        assert connection.execute("select 2").fetchone() == (2,)

        with connection.transaction(), connection.cursor(name="big") as cursor:
            cursor.execute("select generate_series(1, 100000)")
            assert sum(1 for _ in cursor) == 100000


if __name__ == "__main__":
    main()
