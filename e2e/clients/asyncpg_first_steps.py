"""asyncpg: a pool, prepared statements, transactions, binary types, COPY, LISTEN, a time-out."""

import asyncio
import datetime
import ssl
import uuid

import asyncpg

from connection import CA_FILE, HOST, NAME, PASSWORD, PORT, USER


async def main() -> None:
    tls = ssl.create_default_context(cafile=CA_FILE) if CA_FILE else None
    pool = await asyncpg.create_pool(
        host=HOST, port=PORT, user=USER, password=PASSWORD, database=NAME, ssl=tls, min_size=2, max_size=4
    )
    async with pool:
        answers = await asyncio.gather(*(pool.fetchval("select $1::int * 2", n) for n in range(100)))
        assert answers == [n * 2 for n in range(100)]
        async with pool.acquire() as connection:
            await connection.execute("drop table if exists async_things")
            await connection.execute(
                "create table async_things (id uuid primary key, at timestamptz, doc jsonb, list int[])"
            )
            thing = (uuid.uuid4(), datetime.datetime.now(datetime.UTC), '{"a": 1}', [1, 2, 3])
            await connection.execute("insert into async_things values ($1, $2, $3, $4)", *thing)
            row = await connection.fetchrow("select id, at, list from async_things")
            assert (row["id"], row["at"], row["list"]) == (thing[0], thing[1], thing[3])
            await connection.copy_records_to_table(
                "async_things", records=((uuid.uuid4(), thing[1], "{}", []) for _ in range(10_000))
            )
            assert await connection.fetchval("select count(*) from async_things") == 10_001
            try:
                async with connection.transaction():
                    await connection.execute("delete from async_things")
                    raise KeyError
            except KeyError:
                pass
            assert await connection.fetchval("select count(*) from async_things") == 10_001

            heard: asyncio.Queue[str] = asyncio.Queue()

            def hear(*event: object) -> None:
                heard.put_nowait(str(event[-1]))

            await connection.add_listener("things", hear)
            await pool.execute("select pg_notify('things', 'made')")
            assert await asyncio.wait_for(heard.get(), 10) == "made"
            await connection.remove_listener("things", hear)

            try:
                await connection.execute("select pg_sleep(60)", timeout=0.5)
            except asyncio.TimeoutError:
                pass
            else:
                raise AssertionError("the time-out did not come")
            assert await connection.fetchval("select 3") == 3
            await connection.execute("drop table async_things")


if __name__ == "__main__":
    asyncio.run(main())
