"""Looking somebody up by his id number or mobile: what a condition asks for is found by its hashes alone."""

from collections.abc import Sequence
from dataclasses import replace

from chassis.data_keys import ContactKind, DataKeys
from services.customer_svc.domain.conditions import Condition, IdentityCondition, Single
from services.customer_svc.domain.query import with_singles


def hashed(conditions: Sequence[Condition], keys: DataKeys) -> tuple[Condition, ...]:
    """The conditions with the hashes that their numbers may be stored under, one for each live key.

    Conditions that were not here find nobody by a number.
    """

    def change(condition: Single) -> Single:
        if not isinstance(condition, IdentityCondition):
            return condition
        return replace(
            condition,
            id_number_hashes=_hashes(keys, ContactKind.ID_NUMBER, condition.id_number),
            mobile_hashes=_hashes(keys, ContactKind.MOBILE, condition.mobile),
        )

    return with_singles(conditions, change)


def _hashes(keys: DataKeys, kind: ContactKind, text: str | None) -> tuple[bytes, ...]:
    return tuple(keys.hashes(kind, text)) if text is not None else ()
