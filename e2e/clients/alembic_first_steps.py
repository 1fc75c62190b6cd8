"""A migration tool's first steps, by its command line: init, revision --autogenerate, upgrade,
a second revision, downgrade."""

import pathlib
import subprocess
import sys
import tempfile

import psycopg

from connection import SQLALCHEMY_URI, URI

MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Note(Base):
    __tablename__ = "alembic_note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.Text)
"""


def alembic(folder: pathlib.Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "alembic", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"


def columns(table: str) -> list[str]:
    with psycopg.connect(URI) as connection:
        rows = connection.execute(
            "select column_name from information_schema.columns where table_name = %s order by 1", (table,)
        )
        return [name for (name,) in rows]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        alembic(folder, "init", "migrations")
        (folder / "models.py").write_text(MODELS)
        settings = folder / "alembic.ini"
        lines = settings.read_text().splitlines()
        # The ini format doubles percent signs.
        uri = SQLALCHEMY_URI.replace("%", "%%")
        settings.write_text(
            "\n".join(f"sqlalchemy.url = {uri}" if line.startswith("sqlalchemy.url") else line for line in lines)
        )
        env = folder / "migrations" / "env.py"
        env.write_text(
            env.read_text().replace("target_metadata = None", "from models import Base\ntarget_metadata = Base.metadata")
        )
        alembic(folder, "revision", "--autogenerate", "-m", "create notes")
        alembic(folder, "upgrade", "head")
        assert columns("alembic_note") == ["id", "text"]
        models = folder / "models.py"
        models.write_text(models.read_text() + "    done: Mapped[bool] = mapped_column(server_default=sa.false())\n")
        alembic(folder, "revision", "--autogenerate", "-m", "add done")
        alembic(folder, "upgrade", "head")
        assert columns("alembic_note") == ["done", "id", "text"]
        alembic(folder, "check")
        alembic(folder, "downgrade", "base")
        assert columns("alembic_note") == []


if __name__ == "__main__":
    main()
