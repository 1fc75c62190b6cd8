"""SQLAlchemy's tutorial: declare, create, insert, select, join, update, delete, reflect, drop."""

from sqlalchemy import ForeignKey, MetaData, create_engine, func, inspect, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from connection import SQLALCHEMY_URI


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "sqlalchemy_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    addresses: Mapped[list["Address"]] = relationship(back_populates="user", cascade="all, delete-orphan")


class Address(Base):
    __tablename__ = "sqlalchemy_address"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("sqlalchemy_user.id"))
    user: Mapped[User] = relationship(back_populates="addresses")


def main() -> None:
    engine = create_engine(SQLALCHEMY_URI, pool_size=3)
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(
            User(name=f"user {n}", addresses=[Address(email=f"{n}@example.org")]) for n in range(100)
        )
        session.commit()
        assert session.scalar(select(func.count()).select_from(User)) == 100
        user = session.scalars(select(User).join(Address).where(Address.email == "7@example.org")).one()
        assert user.name == "user 7"
        user.name = "renamed"
        session.commit()
        session.delete(user)
        session.commit()
        assert session.scalar(select(func.count()).select_from(Address)) == 99
        session.add(User(name="gone"))
        session.rollback()
        assert session.scalar(select(func.count()).select_from(User)) == 99
    tables = set(inspect(engine).get_table_names())
    assert {"sqlalchemy_user", "sqlalchemy_address"} <= tables, tables
    reflected = MetaData()
    reflected.reflect(engine)
    assert [key.column.table.name for key in reflected.tables["sqlalchemy_address"].foreign_keys] == ["sqlalchemy_user"]
    Base.metadata.drop_all(engine)
    engine.dispose()


if __name__ == "__main__":
    main()
