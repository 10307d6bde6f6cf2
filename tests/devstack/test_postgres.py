import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from devstack.postgres import Postgres


async def ask(url: str, question: str):
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        answer = (await connection.execute(text(question))).scalar_one()
    await engine.dispose()
    return answer


async def test_a_created_database_is_reached_by_its_url(postgres: Postgres):
    url = postgres.create("reached")
    assert await ask(url, "SELECT current_database() || '/' || current_user") == "reached/reached"


async def test_created_again_it_is_empty(postgres: Postgres):
    url = postgres.create("emptied")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE kept (number int)"))
    await engine.dispose()
    url = postgres.create("emptied")
    assert await ask(url, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 0


async def test_ensured_again_it_is_kept(postgres: Postgres):
    url = postgres.ensure("ensured")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE kept (number int)"))
    await engine.dispose()
    assert postgres.ensure("ensured") == url
    assert await ask(url, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'") == 1


async def test_a_role_gets_into_its_own_database_only(postgres: Postgres):
    postgres.create("hers")
    his = postgres.create("his")
    with pytest.raises(DBAPIError, match="permission denied for database"):
        await ask(his.replace("/his?", "/hers?"), "SELECT 1")


async def test_a_wrong_password_is_refused(postgres: Postgres):
    postgres.create("guarded")
    with pytest.raises(DBAPIError, match="password authentication failed"):
        await ask(postgres.url("guarded", "guessed"), "SELECT 1")


async def test_settings_of_the_design_hold(postgres: Postgres):
    url = postgres.create("settings")
    assert await ask(url, "SELECT current_setting('max_connections')") == "300"
    assert await ask(url, "SELECT current_setting('idle_in_transaction_session_timeout')") == "1min"
    assert await ask(url, "SELECT 'Z' < 'a' AND '中' > 'z'") is True


def test_a_name_that_needs_quoting_is_refused(postgres: Postgres):
    with pytest.raises(ValueError, match="no name for a database"):
        postgres.create("a; DROP ROLE postgres")
