"""COPY of a million rows into a table and out of it again, and one large result that the client
reads slowly: what stands between must not keep it in memory."""

import hashlib
import time

import psycopg

from connection import URI

ROWS = 1_000_000


def rows():
    for start in range(0, ROWS, 1000):
        yield "".join(f"{n}\trow {n} {'x' * 40}\n" for n in range(start, start + 1000)).encode()


def main() -> None:
    sent, received = hashlib.sha256(), hashlib.sha256()
    with psycopg.connect(URI, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("drop table if exists copied")
        cursor.execute("create table copied (id int primary key, text text)")
        with cursor.copy("copy copied from stdin") as copy:
            for block in rows():
                sent.update(block)
                copy.write(block)
        assert cursor.rowcount == ROWS, cursor.rowcount
        with cursor.copy("copy (select * from copied order by id) to stdout") as copy:
            for number, block in enumerate(copy):
                received.update(block)
                if number == 1000:
                    time.sleep(2)
        assert sent.digest() == received.digest()
        cursor.execute("drop table copied")


if __name__ == "__main__":
    main()
