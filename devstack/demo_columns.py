"""Whole columns at once for the demo bank: from arrays of numbers to Arrow arrays of the feed's types."""

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from acrm.tables import FEED

Numbers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

MINOR = 100
_EPOCH = date(1970, 1, 1)


def day_number(day: date) -> int:
    """A date as days since 1970."""
    return (day - _EPOCH).days


def ids(prefix: str, numbers: Numbers, digits: int, missing: Mask | None = None) -> pa.Array:
    """Ids such as `C0000017`."""
    texts = pa.array(numbers, mask=missing).cast(pa.string())
    padded = pc.call_function("utf8_lpad", [texts], pc.PadOptions(digits, "0"))
    return joined(prefix, padded)


def joined(*parts: pa.Array | str) -> pa.Array:
    """Texts put together, row by row; empty where a part is."""
    scalars = [pa.scalar(part) if isinstance(part, str) else part for part in parts]
    return pc.call_function("binary_join_element_wise", [*scalars, pa.scalar("")])


def pick(words: Sequence[str], index: Numbers, missing: Mask | None = None) -> pa.Array:
    """The word of each number."""
    return pa.array(words, pa.string()).take(pa.array(index, mask=missing))


def days(numbers: Numbers, missing: Mask | None = None) -> pa.Array:
    return pa.array(numbers.astype(np.int32), pa.int32(), mask=missing).cast(pa.date32())


def amounts(minor: Numbers, missing: Mask | None = None) -> pa.Array:
    return pa.array(minor, pa.int64(), mask=missing)


def instants(seconds: Numbers, missing: Mask | None = None) -> pa.Array:
    """Instants given in seconds since 1970, UTC."""
    return pa.array(seconds * 1_000_000, pa.int64(), mask=missing).cast(pa.timestamp("us", tz="UTC"))


def flags(mask: Mask) -> pa.Array:
    return pa.array(mask)


def rows(name: str, columns: Mapping[str, pa.Array]) -> pa.Table:
    """A table of the feed; columns that are not given are empty."""
    schema = pa.schema([(column.name, column.type) for column in FEED[name].columns])
    unknown = set(columns) - set(schema.names)
    assert not unknown, f"{name} has no {unknown}"
    count = len(next(iter(columns.values())))
    arrays = [columns.get(field.name, pa.nulls(count, field.type)) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def lognormal_minor(chance: np.random.Generator, median: npt.ArrayLike, spread: float, count: int) -> Numbers:
    """Amounts around a median in units, with a long tail, in minor units of at least 1."""
    return np.maximum(np.exp(chance.normal(0.0, spread, count)) * median * MINOR, 1).astype(np.int64)


def between(chance: np.random.Generator, low: Numbers, high: Numbers | int) -> Numbers:
    """A number from `low` to `high`, both included, for each row."""
    return low + (chance.random(len(low)) * (high - low + 1)).astype(np.int64)
