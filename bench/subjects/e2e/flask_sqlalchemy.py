"""Flask with SQLAlchemy's ORM on psycopg: a session per request, dicts by hand, no validation but the database's."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from sqlalchemy import create_engine, func, select
from sqlalchemy.orm import sessionmaker

from . import COLUMNS
from .tables import Record

INTERFACE = "wsgi"


def shown(record: Record) -> dict[str, Any]:
    return {
        "id": record.id,
        **{name: getattr(record, name) for name in COLUMNS if name != "created_at"},
        "created_at": record.created_at.isoformat(),
    }


def application(dsn: str) -> Flask:
    app = Flask(__name__)
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://"), pool_size=8, max_overflow=8)
    sessions = sessionmaker(engine, expire_on_commit=False)

    @app.get("/records")
    def list_records() -> Response:
        with sessions() as session:
            return jsonify([shown(record) for record in session.scalars(select(Record).order_by(Record.id))])

    @app.get("/records/<int:id>")
    def show_record(id: int) -> Response:
        with sessions() as session:
            record = session.get(Record, id)
        if record is None:
            abort(404)
        return jsonify(shown(record))

    @app.get("/pages")
    def page() -> Response:
        number, size = int(request.args["page"]), int(request.args["page_size"])
        chosen = select(Record).where(Record.active == (request.args["active"] == "true"))
        with sessions() as session:
            count = session.scalar(select(func.count()).select_from(chosen.subquery()))
            found = session.scalars(chosen.order_by(Record.id).limit(size).offset((number - 1) * size))
            return jsonify({"count": count, "results": [shown(record) for record in found]})

    @app.post("/records")
    def create_record() -> tuple[Response, int]:
        data = request.get_json()
        if not isinstance(data["age"], int):
            abort(422)
        data["created_at"] = datetime.fromisoformat(data["created_at"])
        with sessions() as session:
            record = Record(**data)
            session.add(record)
            session.commit()
        return jsonify(shown(record)), 201

    return app
