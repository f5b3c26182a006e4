"""Columns on their way to Postgres: a numpy array, or a list of texts, becomes one binary array parameter.

psycopg dumps a list element by element, in Python; at tens of thousands of rows a statement that costs several times
what decoding the messages does. Postgres' binary array is a header followed by (length, value) pairs, all big-endian,
which for numbers is one numpy structured array (PostgreSQL source, src/backend/utils/adt/arrayfuncs.c, array_recv).
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

Int16s = npt.NDArray[np.int16]
Int64s = npt.NDArray[np.int64]

# The Unix epoch in microseconds before Postgres' own, 2000-01-01.
_POSTGRES_EPOCH_MICROSECONDS = 946_684_800_000_000


@dataclass(frozen=True, slots=True)
class _Column:
    """Values without nulls, and the element type they have in Postgres."""

    values: npt.NDArray[Any]


class Smallints(_Column):
    """A column of smallint."""


class Bigints(_Column):
    """A column of bigint."""


class Timestamps(_Column):
    """A column of timestamptz, made of microseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of text."""

    values: Sequence[str]


class _TextsDumper(Dumper):
    format = Format.BINARY
    oid, element_oid = 1009, 25

    def dump(self, obj: Texts) -> Buffer:
        encoded = [value.encode() for value in obj.values]
        return _header(self.element_oid, len(encoded)) + b"".join([_length(len(text)) + text for text in encoded])


class _ColumnDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]
    wire_type: ClassVar[str]

    def dump(self, obj: _Column) -> Buffer:
        values = self.wire_values(obj.values)
        elements = np.empty(len(values), dtype=[("length", ">i4"), ("value", self.wire_type)])
        elements["length"] = elements.dtype["value"].itemsize
        elements["value"] = values
        return _header(self.element_oid, len(values)) + elements.tobytes()

    def wire_values(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values


class _SmallintsDumper(_ColumnDumper):
    oid, element_oid, wire_type = 1005, 21, ">i2"


class _BigintsDumper(_ColumnDumper):
    oid, element_oid, wire_type = 1016, 20, ">i8"


class _TimestampsDumper(_ColumnDumper):
    oid, element_oid, wire_type = 1185, 1184, ">i8"

    def wire_values(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        shifted: npt.NDArray[Any] = values - _POSTGRES_EPOCH_MICROSECONDS
        return shifted


def execute(cursor: psycopg.Cursor[Any], statement: str, parameters: Mapping[str, object]) -> psycopg.Cursor[Any]:
    """Runs a statement whose parameters may be columns; other parameters go as psycopg sends them."""
    for column, dumper in _DUMPERS.items():
        cursor.adapters.register_dumper(column, dumper)
    return cursor.execute(statement.encode(), parameters)


def _header(element_oid: int, count: int) -> bytes:
    """One dimension, no nulls, the elements' type, how many, the first one's subscript."""
    return struct.pack(">5i", 1, 0, element_oid, count, 1)


_length = struct.Struct(">i").pack

_DUMPERS: dict[type[Any], type[Dumper]] = {
    Smallints: _SmallintsDumper,
    Bigints: _BigintsDumper,
    Timestamps: _TimestampsDumper,
    Texts: _TextsDumper,
}

__all__ = ["Bigints", "Int16s", "Int64s", "Smallints", "Texts", "Timestamps", "execute"]
