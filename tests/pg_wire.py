"""Raw values of a real server: what it sends in binary, and what it makes of the bytes we send.

libpq carries the bytes; nothing of the driver but its codecs takes part, so that a failure here is a codec's.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

from swift._speedups.pgrows import Columns, RowDecoder
from swift._speedups.pgvalues import Codec
from swift.pg.registry import TypeRegistry


def data_row(values: Sequence[bytes | None]) -> bytes:
    """The payload of a DataRow message."""
    fields = (
        b"\xff\xff\xff\xff" if value is None else struct.pack("!i", len(value)) + value for value in values
    )
    return struct.pack("!H", len(values)) + b"".join(fields)


def frame(payload: bytes) -> bytes:
    """A DataRow message, header included."""
    return b"D" + struct.pack("!I", len(payload) + 4) + payload


@dataclass
class Answer:
    """A result as the server sent it."""

    names: list[str]
    oids: list[int]
    rows: list[list[bytes | None]]

    @property
    def run(self) -> bytes:
        return b"".join(frame(data_row(row)) for row in self.rows)


class Wire:
    """One connection and the registry that learns its database."""

    def __init__(self, dsn: str) -> None:
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.registry = TypeRegistry()

    def close(self) -> None:
        self.connection.close()

    def run(self, sql: str) -> None:
        self.connection.execute(sql.encode())

    def ask(
        self,
        sql: str,
        values: Sequence[bytes | None] = (),
        codecs: Sequence[Codec] = (),
        *,
        binary: bool = True,
    ) -> Answer:
        result = self.connection.pgconn.exec_params(
            sql.encode(),
            list(values) or None,
            [codec.oid for codec in codecs] or None,
            [codec.parameter_format for codec in codecs] or None,
            1 if binary else 0,
        )
        if result.status != ExecStatus.TUPLES_OK:
            raise ValueError(result.error_message.decode())
        return Answer(
            [(result.fname(i) or b"").decode() for i in range(result.nfields)],
            [result.ftype(i) for i in range(result.nfields)],
            [[result.get_value(k, i) for i in range(result.nfields)] for k in range(result.ntuples)],
        )

    def codecs(self, oids: Sequence[int]) -> list[Codec]:
        unknown = self.registry.unknown(oids)
        if unknown:
            asked = self.registry.get(1028)
            assert asked is not None
            answer = self.ask(self.registry.introspection_sql, [asked.encode_payload(unknown)], [asked])
            known = [self.registry.get(oid) for oid in answer.oids]
            rows = [
                [codec.decode_payload(value) for codec, value in zip(known, row, strict=True) if codec]
                for row in answer.rows
            ]
            self.registry.learn(rows, unknown)
        found = [self.registry.get(oid) for oid in oids]
        assert None not in found
        return [codec for codec in found if codec is not None]

    def decoder(self, sql: str, into: Any = None) -> tuple[RowDecoder, Answer]:
        """The decoder of a statement's rows and its answer, in the formats its codecs ask for."""
        prepared = self.connection.pgconn.prepare(b"", sql.encode())
        assert prepared.status == ExecStatus.COMMAND_OK, prepared.error_message
        described = self.connection.pgconn.describe_prepared(b"")
        codecs = self.codecs([described.ftype(i) for i in range(described.nfields)])
        answer = self.ask(sql, binary=all(codec.format for codec in codecs))
        if not all(codec.format for codec in codecs):
            assert not any(codec.format for codec in codecs), (
                "one format a statement is enough for these tests"
            )
        return RowDecoder(Columns(answer.names), codecs, into), answer

    def rows(self, sql: str, into: Any = None) -> list[Any]:
        decoder, answer = self.decoder(sql, into)
        return decoder.decode_run(answer.run)

    def value(self, sql: str) -> Any:
        """The one value of `SELECT {sql}`."""
        (value,) = self.rows(f"SELECT {sql} AS value", "scalar")
        return value

    def json(self, sql: str) -> bytes:
        """The JSON of the one value of `SELECT {sql}`."""
        decoder, answer = self.decoder(f"SELECT {sql} AS value", "scalar")
        return decoder.json_payload(data_row(answer.rows[0]))

    def codec(self, type_name: str) -> Codec:
        (oid,) = self.ask("SELECT $1::text::regtype::oid", [type_name.encode()], [self.codecs([25])[0]]).rows[
            0
        ]
        assert oid is not None
        return self.codecs([int.from_bytes(oid, "big")])[0]

    def payload(self, sql: str) -> bytes | None:
        """The bytes of `SELECT {sql}` on the wire."""
        return self.ask(f"SELECT {sql}").rows[0][0]

    def sent(self, value: Any, type_name: str) -> str | None:
        """The server's text for `value` after our encoder wrote it as `type_name`."""
        codec = self.codec(type_name)
        answer = self.ask(f"SELECT ($1::{type_name})::text", [codec.encode_payload(value)], [codec])
        text = answer.rows[0][0]
        return None if text is None else text.decode()

    def text(self, sql: str) -> str | None:
        """The server's own text of `SELECT {sql}`"""
        value = self.ask(f"SELECT ({sql})::text").rows[0][0]
        return None if value is None else value.decode()
