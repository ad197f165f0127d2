"""Codecs of dates, times, timestamps and intervals.

What Python's own types cannot hold (infinity, years before 1 and after 9999, 24:00:00) becomes the codec's
`factory`, called with the numbers of the wire, so that one such value fails no result. Naive and aware datetimes
are never taken for each other.
"""

import datetime
import functools

from cpython.datetime cimport (
    PyDate_Check,
    PyDateTime_Check,
    PyDelta_Check,
    PyTime_Check,
    date_day,
    date_month,
    date_new,
    date_year,
    datetime_day,
    datetime_hour,
    datetime_microsecond,
    datetime_minute,
    datetime_month,
    datetime_new,
    datetime_second,
    datetime_tzinfo,
    datetime_year,
    import_datetime,
    time_hour,
    time_microsecond,
    time_minute,
    time_new,
    time_second,
    timedelta_days,
    timedelta_microseconds,
    timedelta_seconds,
)
from libc.stdint cimport INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint32_t

from swift._speedups.pgvalues cimport Codec, bad_length, integer_of, malformed, refused, wrong_type
from swift._speedups.pgwire cimport pg_load_i32, pg_load_i64, pg_put_i32, pg_put_i64, pg_writer


cdef extern from "pg_values.h" nogil:
    ctypedef struct pg_date:
        int32_t year
        int32_t month
        int32_t day
    ctypedef struct pg_time:
        int32_t hour
        int32_t minute
        int32_t second
        int32_t microsecond
    const int64_t PG_DAY_MICROS
    const int32_t PG_OFFSET_LIMIT
    const int32_t PG_DAYS_YEAR_1
    const int32_t PG_DAYS_YEAR_9999
    void pg_date_of_days(int32_t days, pg_date* out)
    int64_t pg_days_of_date(int64_t year, int32_t month, int32_t day)
    void pg_time_of_micros(int64_t micros, pg_time* out)
    void pg_split_micros(int64_t micros, int32_t* days, int64_t* time)


cdef extern from "pg_json.h":
    const int PG_JSON_DATE
    const int PG_JSON_TIME
    const int PG_JSON_TIMETZ
    const int PG_JSON_TIMESTAMP
    const int PG_JSON_TIMESTAMPTZ
    const int PG_JSON_INTERVAL


import_datetime()

cdef object UTC = datetime.timezone.utc
cdef int64_t SECOND = 1_000_000
cdef int64_t FIRST_MICROS = PG_DAYS_YEAR_1 * PG_DAY_MICROS
cdef int64_t END_MICROS = (PG_DAYS_YEAR_9999 + 1) * PG_DAY_MICROS


@functools.lru_cache(maxsize=64)
def zone_of(int seconds):
    """The timezone that many seconds east of Greenwich."""
    return UTC if seconds == 0 else datetime.timezone(datetime.timedelta(seconds=seconds))


# ---- date ----------------------------------------------------------------------------------------------


cdef object decode_date(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef int32_t days
    cdef pg_date date
    if length != 4:
        bad_length(codec, 4, length)
    days = pg_load_i32(data)
    if not PG_DAYS_YEAR_1 <= days <= PG_DAYS_YEAR_9999:
        return codec.factory(days)
    pg_date_of_days(days, &date)
    return date_new(date.year, date.month, date.day)


cdef int encode_date(Codec codec, pg_writer* out, object value) except -1:
    if PyDate_Check(value) and not PyDateTime_Check(value):
        pg_put_i32(out, <int32_t>pg_days_of_date(date_year(value), date_month(value), date_day(value)))
    elif isinstance(value, codec.factory):
        pg_put_i32(out, value.days)
    elif PyDateTime_Check(value):
        refused("expected `date`, got `datetime`, whose time would be lost; give its .date()")
    else:
        wrong_type("date", value)
    return 0


# ---- time, timetz --------------------------------------------------------------------------------------


cdef inline int64_t micros_of_time(object value):
    return (
        (time_hour(value) * 60 + time_minute(value)) * 60 + time_second(value)
    ) * SECOND + time_microsecond(value)


cdef object decode_time(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef int64_t micros
    cdef pg_time time
    if length != 8:
        bad_length(codec, 8, length)
    micros = pg_load_i64(data)
    if not 0 <= micros <= PG_DAY_MICROS:
        malformed("a time outside of the day")
    if micros == PG_DAY_MICROS:
        return codec.factory(micros)
    pg_time_of_micros(micros, &time)
    return time_new(time.hour, time.minute, time.second, time.microsecond, None)


cdef int encode_time(Codec codec, pg_writer* out, object value) except -1:
    if PyTime_Check(value):
        if value.tzinfo is not None:
            refused("expected a `time` without a zone; a timetz column keeps one")
        pg_put_i64(out, micros_of_time(value))
    elif isinstance(value, codec.factory):
        if value.offset is not None:
            refused("expected a `time` without a zone; a timetz column keeps one")
        pg_put_i64(out, value.microseconds)
    else:
        wrong_type("time", value)
    return 0


cdef object decode_timetz(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef int64_t micros
    cdef int32_t west
    cdef pg_time time
    if length != 12:
        bad_length(codec, 12, length)
    micros = pg_load_i64(data)
    west = pg_load_i32(data + 8)
    if not 0 <= micros <= PG_DAY_MICROS or not -PG_OFFSET_LIMIT < west < PG_OFFSET_LIMIT:
        malformed("a time outside of the day, or an offset of 16 hours and more")
    if micros == PG_DAY_MICROS:
        return codec.factory(micros, -west)
    pg_time_of_micros(micros, &time)
    return time_new(time.hour, time.minute, time.second, time.microsecond, zone_of(-west))


cdef int encode_timetz(Codec codec, pg_writer* out, object value) except -1:
    cdef int32_t east
    if PyTime_Check(value):
        offset = value.utcoffset()
        if offset is None:
            refused("expected a `time` with a fixed zone; a named zone has no offset without a date")
        if timedelta_microseconds(offset) != 0:
            refused("the offset of a timetz has no fraction of a second")
        east = timedelta_days(offset) * 86400 + timedelta_seconds(offset)
        pg_put_i64(out, micros_of_time(value))
    elif isinstance(value, codec.factory):
        if value.offset is None:
            refused("expected a time with an offset")
        east = value.offset
        pg_put_i64(out, value.microseconds)
    else:
        wrong_type("time", value)
        return -1
    if not -PG_OFFSET_LIMIT < east < PG_OFFSET_LIMIT:
        refused("the offset of a timetz is below 16 hours")
    pg_put_i32(out, -east)
    return 0


# ---- timestamp, timestamptz ----------------------------------------------------------------------------


cdef inline object datetime_of(int64_t micros, object zone):
    cdef int32_t days
    cdef int64_t rest
    cdef pg_date date
    cdef pg_time time
    pg_split_micros(micros, &days, &rest)
    pg_date_of_days(days, &date)
    pg_time_of_micros(rest, &time)
    return datetime_new(
        date.year, date.month, date.day, time.hour, time.minute, time.second, time.microsecond, zone
    )


cdef inline int64_t micros_of_datetime(object value):
    return pg_days_of_date(datetime_year(value), datetime_month(value), datetime_day(value)) * PG_DAY_MICROS + (
        ((datetime_hour(value) * 60 + datetime_minute(value)) * 60 + datetime_second(value)) * SECOND
        + datetime_microsecond(value)
    )


cdef object decode_timestamp(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef int64_t micros
    if length != 8:
        bad_length(codec, 8, length)
    micros = pg_load_i64(data)
    if not FIRST_MICROS <= micros < END_MICROS:
        return codec.factory(micros)
    return datetime_of(micros, None)


cdef int encode_timestamp(Codec codec, pg_writer* out, object value) except -1:
    if PyDateTime_Check(value):
        if <object>datetime_tzinfo(value) is not None:
            refused("expected a `datetime` without a zone; a timestamptz column takes one that has a zone")
        pg_put_i64(out, micros_of_datetime(value))
    elif isinstance(value, codec.factory):
        pg_put_i64(out, value.microseconds)
    else:
        wrong_type("datetime", value)
    return 0


cdef object decode_timestamptz(Codec codec, const uint8_t* data, Py_ssize_t length):
    cdef int64_t micros
    if length != 8:
        bad_length(codec, 8, length)
    micros = pg_load_i64(data)
    if not FIRST_MICROS <= micros < END_MICROS:
        return codec.factory(micros)
    return datetime_of(micros, UTC)


cdef int encode_timestamptz(Codec codec, pg_writer* out, object value) except -1:
    cdef int64_t micros
    if PyDateTime_Check(value):
        micros = micros_of_datetime(value)
        if <object>datetime_tzinfo(value) is not UTC:
            # utcoffset() knows the fold, and offsets of history that have seconds.
            offset = value.utcoffset()
            if offset is None:
                refused("expected a `datetime` with a zone, such as datetime.now(UTC)")
            micros -= (
                timedelta_days(offset) * PG_DAY_MICROS
                + timedelta_seconds(offset) * SECOND
                + timedelta_microseconds(offset)
            )
        pg_put_i64(out, micros)
    elif isinstance(value, codec.factory):
        pg_put_i64(out, value.microseconds)
    else:
        wrong_type("datetime", value)
    return 0


# ---- interval ------------------------------------------------------------------------------------------


cdef object decode_interval(Codec codec, const uint8_t* data, Py_ssize_t length):
    if length != 16:
        bad_length(codec, 16, length)
    return codec.factory(pg_load_i32(data + 12), pg_load_i32(data + 8), pg_load_i64(data))


cdef int encode_interval(Codec codec, pg_writer* out, object value) except -1:
    cdef int64_t micros
    cdef int32_t days, months
    if PyDelta_Check(value):
        pg_put_i64(out, timedelta_seconds(value) * SECOND + timedelta_microseconds(value))
        pg_put_i32(out, timedelta_days(value))
        pg_put_i32(out, 0)
        return 0
    if not isinstance(value, codec.factory):
        wrong_type("timedelta", value)
    months = <int32_t>integer_of(value.months, INT32_MIN, INT32_MAX)
    days = <int32_t>integer_of(value.days, INT32_MIN, INT32_MAX)
    micros = integer_of(value.microseconds, INT64_MIN, INT64_MAX)
    pg_put_i64(out, micros)
    pg_put_i32(out, days)
    pg_put_i32(out, months)
    return 0


cdef dict PYTHON_TYPES = {
    "date": datetime.date,
    "time": datetime.time,
    "timetz": datetime.time,
    "timestamp": datetime.datetime,
    "timestamptz": datetime.datetime,
}


def temporal_codec(str kind not None, uint32_t oid, str name not None, factory not None):
    """A codec of "date", "time", "timetz", "timestamp", "timestamptz" or "interval".

    `factory` is called with what Python cannot hold: days; microseconds; microseconds and seconds east of Greenwich;
    of an interval always, with months, days, microseconds.
    """
    cdef Codec codec = Codec.__new__(Codec)
    codec.oid = oid
    codec.name = name
    codec.format = 1
    codec.parameter_format = 1
    codec.atomic = True
    codec.factory = factory
    codec.python_type = PYTHON_TYPES.get(kind, factory)
    if kind == "date":
        codec.decode, codec.encode, codec.json_kind = decode_date, encode_date, PG_JSON_DATE
    elif kind == "time":
        codec.decode, codec.encode, codec.json_kind = decode_time, encode_time, PG_JSON_TIME
    elif kind == "timetz":
        codec.decode, codec.encode, codec.json_kind = decode_timetz, encode_timetz, PG_JSON_TIMETZ
    elif kind == "timestamp":
        codec.decode, codec.encode, codec.json_kind = decode_timestamp, encode_timestamp, PG_JSON_TIMESTAMP
    elif kind == "timestamptz":
        codec.decode, codec.encode, codec.json_kind = decode_timestamptz, encode_timestamptz, PG_JSON_TIMESTAMPTZ
    elif kind == "interval":
        codec.decode, codec.encode, codec.json_kind = decode_interval, encode_interval, PG_JSON_INTERVAL
    else:
        raise ValueError(f"{kind!r} is no temporal kind")
    return codec
