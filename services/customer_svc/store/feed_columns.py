"""How columns of the feed are written down; row_checks.py of the chassis holds rows to what is said here."""

import pyarrow as pa

from chassis.sql.row_checks import CODES, LENGTH_MAX, RANGE, SECRET

INTEGER_MAX = 2**31 - 1


def text(name: str, codes: str = "", *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.string(), nullable=not required, metadata={CODES: codes.encode()} if codes else None)


def secret(name: str, length_max: int) -> pa.Field:
    """A text that may not be told, not even where it is wrong."""
    return pa.field(name, pa.string(), metadata={SECRET: b"1", LENGTH_MAX: str(length_max).encode()})


def ident(name: str, *, required: bool = True) -> pa.Field:
    return text(name, required=required)


def day(name: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.date32(), nullable=not required)


def amount(name: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.int64(), nullable=not required)


def number(name: str, least: int = 0, most: int = INTEGER_MAX) -> pa.Field:
    return pa.field(name, pa.int64(), metadata={RANGE: f"{least}..{most}".encode()})


def flag(name: str) -> pa.Field:
    return pa.field(name, pa.bool_(), nullable=False)
