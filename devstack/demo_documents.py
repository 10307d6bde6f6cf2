"""Numbers of made-up documents: right in form and check digit, of regions that do not exist."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from devstack.demo_columns import Mask, Numbers, joined, pick

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = tuple("10X98765432")
# A company's number: 91, a region of six digits, eight digits of its own with their check, and a check over all.
_LICENCE_PREFIX = (9, 1, 9, 9, 0, 0, 0, 0)
_OWN_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_OWN_CHECKS = tuple("0123456789X")
_LICENCE_SIGNS = tuple("0123456789ABCDEFGHJKLMNPQRTUWXY")
_LICENCE_WEIGHTS = tuple(3**place % 31 for place in range(17))


def id_numbers(birth_day: Numbers, original: Numbers, missing: Mask) -> pa.Array:
    """18 characters with a true check digit, of a region (99) that does not exist."""
    birth = birth_day.astype("datetime64[D]")
    month_start = birth.astype("datetime64[M]")
    year = birth.astype("datetime64[Y]").astype(np.int64) + 1970
    month = month_start.astype(np.int64) % 12 + 1
    in_month = (birth - month_start).astype(np.int64) + 1
    region, sequence = 990_000 + original // 1_000 % 10_000, original % 1_000
    digits = ((region * 10_000 + year) * 100 + month) * 100 + in_month
    number = digits * 1_000 + sequence
    powers = 10 ** np.arange(16, -1, -1, dtype=np.int64)
    check = sum(number // power % 10 * weight for power, weight in zip(powers, _ID_WEIGHTS, strict=True)) % 11
    return joined(pa.array(number, mask=missing).cast(pa.string()), pick(_ID_CHECKS, np.asarray(check)))


def licence_numbers(original: Numbers, missing: Mask) -> pa.Array:
    """18 characters of a unified social credit code: nine of the kind and region, nine of the company, one check."""
    own = np.array([original // 10**place % 10 for place in range(7, -1, -1)])
    own_check = (11 - np.tensordot(_OWN_WEIGHTS, own, 1) % 11) % 11
    # In a licence the letter X stands for 29.
    check_sign = np.where(own_check == 10, _LICENCE_SIGNS.index("X"), own_check)  # noqa: PLR2004 - the eleventh sign
    told = sum(sign * weight for sign, weight in zip(_LICENCE_PREFIX, _LICENCE_WEIGHTS, strict=False))
    told += np.tensordot(_LICENCE_WEIGHTS[8:16], own, 1) + check_sign * _LICENCE_WEIGHTS[16]
    check = (31 - told % 31) % 31
    prefix = "".join(str(digit) for digit in _LICENCE_PREFIX)
    own_text = pa.array(original + 10**8, mask=missing).cast(pa.string())
    return joined(
        prefix,
        pc.call_function("utf8_slice_codeunits", [own_text], pc.SliceOptions(1)),
        pick(_OWN_CHECKS, own_check),
        pick(_LICENCE_SIGNS, check),
    )
