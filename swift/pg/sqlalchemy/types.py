"""How values travel: what is sent says its type in the statement, so that the server need not guess from its use."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Callable
from typing import Any

from sqlalchemy.dialects.postgresql import ARRAY as PGARRAY
from sqlalchemy.dialects.postgresql import (
    BIT,
    BYTEA,
    CITEXT,
    ENUM,
    HSTORE,
    INTERVAL,
    JSONB,
    OID,
    REGCLASS,
    ranges,
)
from sqlalchemy.dialects.postgresql import JSON as PGJSON
from sqlalchemy.dialects.postgresql.base import REGCONFIG
from sqlalchemy.dialects.postgresql.json import JSONPathType
from sqlalchemy.engine import processors
from sqlalchemy.types import (
    ARRAY,
    CHAR,
    JSON,
    BigInteger,
    Boolean,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Time,
)

from ..types import BitString as DriverBits
from ..types import Interval as DriverInterval
from ..types import MultiRange as DriverMultiRange
from ..types import Range as DriverRange
from .compat import BitString

Processor = Callable[[Any], Any] | None

# float4, float8 and arrays of them; everything else numbers are read from comes as Decimal or int.
FLOATS = (700, 701, 1021, 1022)
# As other drivers of Python count what has no fixed length.
DAYS_OF_YEAR = 365
DAYS_OF_MONTH = 30


def timedelta_of(value: Any) -> Any:
    """An interval of the server as a timedelta, an infinite one as it is."""
    if not isinstance(value, DriverInterval) or not value.finite:
        return value
    years, months = divmod(abs(value.months), 12)
    days = years * DAYS_OF_YEAR + months * DAYS_OF_MONTH
    return datetime.timedelta(
        days=value.days + (days if value.months >= 0 else -days), microseconds=value.microseconds
    )


class SwiftArray(PGARRAY[Any]):
    render_bind_cast = True


class SwiftBigInteger(BigInteger):
    render_bind_cast = True


class SwiftBit(BIT):
    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        def bind(value: Any) -> Any:
            return DriverBits(str(value)) if isinstance(value, str) else value

        return bind

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any]:
        def result(value: Any) -> Any:
            return None if value is None else BitString(str(value))

        return result


class SwiftBoolean(Boolean):
    render_bind_cast = True


class SwiftBytea(BYTEA):
    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Processor:
        return None

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return None


class SwiftChar(CHAR):
    render_bind_cast = True


class SwiftDate(Date):
    """A datetime is taken as its day, which the driver by itself refuses to do."""

    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Processor:
        def bind(value: Any) -> Any:
            return value.date() if isinstance(value, datetime.datetime) else value

        return bind


class SwiftDateTime(DateTime):
    render_bind_cast = True


class SwiftEnum(ENUM):
    render_bind_cast = True


class SwiftHstore(HSTORE):
    """A dict on either side: the driver reads and writes it, nothing is parsed here."""

    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Processor:
        return None

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return None


class SwiftInteger(Integer):
    render_bind_cast = True


class SwiftInterval(INTERVAL):
    render_bind_cast = True

    @classmethod
    def adapt_emulated_to_native(cls, interval: Any, **kw: Any) -> SwiftInterval:  # type: ignore[override]
        return cls(precision=interval.second_precision)


class SwiftJSON(PGJSON):
    """Sent as the text SQLAlchemy serialised, read by the codec of the connection."""

    render_bind_cast = True

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return None


class SwiftJSONB(JSONB):
    render_bind_cast = True

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return None


class SwiftJSONIndex(JSON.JSONIndexType):
    """An index or a key: what its value is decides."""


class SwiftJSONIntIndex(JSON.JSONIntIndexType):
    __visit_name__ = "json_int_index"
    render_bind_cast = True


class SwiftJSONStrIndex(JSON.JSONStrIndexType):
    __visit_name__ = "json_str_index"
    render_bind_cast = True


class SwiftJSONPath(JSONPathType):
    """A text[]: keys and indices. A string is taken for what the user casts it to."""

    def bind_processor(self, dialect: Any) -> Callable[[Any], Any]:
        def bind(value: Any) -> Any:
            return value if isinstance(value, str) else [str(part) for part in value or ()]

        return bind


def number_result(kind: Any, coltype: object) -> Processor:
    """What reads a number of the server's type `coltype` (an OID) into the Decimal or float that `kind` wants."""
    if coltype in FLOATS:
        if not kind.asdecimal:
            return None
        made: Processor = processors.to_decimal_processor_factory(
            decimal.Decimal, kind._effective_decimal_return_scale
        )
        return made
    return None if kind.asdecimal else processors.to_float


class SwiftNumeric(Numeric[Any]):
    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Processor:
        return None

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return number_result(self, coltype)


class SwiftFloat(Float[Any]):
    render_bind_cast = True

    def bind_processor(self, dialect: Any) -> Processor:
        return None

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return number_result(self, coltype)


class SwiftOID(OID):
    render_bind_cast = True


class SwiftRegclass(REGCLASS):
    render_bind_cast = True


class SwiftRegconfig(REGCONFIG):
    render_bind_cast = True


class SwiftSmallInteger(SmallInteger):
    render_bind_cast = True


class SwiftString(String):
    render_bind_cast = True


class SwiftTime(Time):
    render_bind_cast = True


# ---- ranges


def to_driver(value: Any) -> Any:
    if not isinstance(value, ranges.Range):
        return value
    if value.empty:
        return DriverRange.empty()
    return DriverRange(value.lower, value.upper, value.bounds)


def from_driver(value: Any) -> Any:
    if not isinstance(value, DriverRange):
        return value
    if value.is_empty:
        return ranges.Range(empty=True)
    bounds: Any = f"{'[' if value.lower_inclusive else '('}{']' if value.upper_inclusive else ')'}"
    return ranges.Range(value.lower, value.upper, bounds=bounds)


class SwiftRange(ranges.AbstractSingleRangeImpl[Any]):
    def bind_processor(self, dialect: Any) -> Processor:
        return to_driver

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        return from_driver


class SwiftMultiRange(ranges.AbstractMultiRangeImpl[Any]):
    def bind_processor(self, dialect: Any) -> Processor:
        def bind(value: Any) -> Any:
            if value is None or isinstance(value, str):
                return value
            return DriverMultiRange(to_driver(part) for part in value)

        return bind

    def result_processor(self, dialect: Any, coltype: object) -> Processor:
        def result(value: Any) -> Any:
            return None if value is None else ranges.MultiRange(from_driver(part) for part in value)

        return result


COLSPECS: dict[Any, Any] = {
    ARRAY: SwiftArray,
    BIT: SwiftBit,
    BigInteger: SwiftBigInteger,
    Boolean: SwiftBoolean,
    CHAR: SwiftChar,
    CITEXT: CITEXT,
    Date: SwiftDate,
    DateTime: SwiftDateTime,
    Enum: SwiftEnum,
    Float: SwiftFloat,
    HSTORE: SwiftHstore,
    INTERVAL: SwiftInterval,
    Integer: SwiftInteger,
    Interval: SwiftInterval,
    JSON: SwiftJSON,
    JSONB: SwiftJSONB,
    JSON.JSONIndexType: SwiftJSONIndex,
    JSON.JSONIntIndexType: SwiftJSONIntIndex,
    JSON.JSONPathType: SwiftJSONPath,
    JSON.JSONStrIndexType: SwiftJSONStrIndex,
    LargeBinary: SwiftBytea,
    Numeric: SwiftNumeric,
    OID: SwiftOID,
    REGCLASS: SwiftRegclass,
    REGCONFIG: SwiftRegconfig,
    SmallInteger: SwiftSmallInteger,
    String: SwiftString,
    Time: SwiftTime,
    ranges.AbstractMultiRange: SwiftMultiRange,
    ranges.AbstractSingleRange: SwiftRange,
}
