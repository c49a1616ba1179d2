"""A FastAPI service with models, dependencies, background tasks, a database and a websocket, asked through its test client."""
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient
from pydantic import BaseModel
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    lines: Mapped[list["Line"]] = relationship(back_populates="order", cascade="all, delete-orphan")


class Line(Base):
    __tablename__ = "lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    order: Mapped[Order] = relationship(back_populates="lines")


Base.metadata.create_all(engine)
service = FastAPI()


class Wanted(BaseModel):
    names: list[str]


def session():
    with Session(engine) as one:
        yield one


def notify(number):
    return "order %d" % number


@service.post("/orders")
async def create(wanted: Wanted, tasks: BackgroundTasks, session: Session = Depends(session)):
    order = Order(lines=[Line(name=name) for name in wanted.names])
    session.add(order)
    session.commit()
    tasks.add_task(notify, order.id)
    return {"id": order.id}


@service.get("/orders/{number}")
def read(number: int, session: Session = Depends(session)):
    order = session.scalar(select(Order).where(Order.id == number))
    if order is None:
        raise HTTPException(404)
    names = [line.name for line in order.lines]
    session.delete(order)
    session.commit()
    return {"names": names}


@service.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    await socket.send_text(await socket.receive_text())
    await socket.close()


def step(n):
    with TestClient(service) as client:
        for _ in range(n):
            number = client.post("/orders", json={"names": ["a", "b"]}).json()["id"]
            assert client.get("/orders/%d" % number).json() == {"names": ["a", "b"]}
            assert client.get("/orders/%d" % number).status_code == 404
        with client.websocket_connect("/echo") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "hello"
