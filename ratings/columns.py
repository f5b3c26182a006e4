"""Columns of whole numbers on their way to Postgres: a numpy array becomes a binary array parameter in one copy.

psycopg dumps a list element by element; at tens of thousands of rows a statement that costs more than the decoding
of the messages. Postgres' binary array is a header followed by (length, value) pairs, all big-endian, which is one
numpy structured array (PostgreSQL source, src/backend/utils/adt/arrayfuncs.c, array_recv).
"""

from collections.abc import Mapping
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


class _ColumnDumper(Dumper):
    format = Format.BINARY
    element_oid: ClassVar[int]
    wire_type: ClassVar[str]

    def dump(self, obj: _Column) -> Buffer:
        values = self.wire_values(obj.values)
        header = np.array([1, 0, self.element_oid, len(values), 1], dtype=">i4").tobytes()
        elements = np.empty(len(values), dtype=[("length", ">i4"), ("value", self.wire_type)])
        elements["length"] = elements.dtype["value"].itemsize
        elements["value"] = values
        return header + elements.tobytes()

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


_DUMPERS: dict[type[_Column], type[_ColumnDumper]] = {
    Smallints: _SmallintsDumper,
    Bigints: _BigintsDumper,
    Timestamps: _TimestampsDumper,
}

__all__ = ["Bigints", "Int16s", "Int64s", "Smallints", "Timestamps", "execute"]
