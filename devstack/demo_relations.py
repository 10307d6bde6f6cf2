"""Who stands by whom at the demo bank."""

import numpy as np
import pyarrow as pa

from devstack.demo_business import Business
from devstack.demo_columns import Mask, Numbers, pick, rows
from devstack.demo_loans import GUARANTEED, Loans

_FAMILY_MAX = 3
# Old enough to be the guardian of any minor.
_GUARDIAN_DAYS = 36 * 365
_KINDS = ("household", "company_owner", "disponent", "guarantor", "guardian")


def relations_table(business: Business, loans: Loans) -> pa.Table:
    """Families on one phone, owners, guarantors, guardians of minors, and people who may only dispose of an account."""
    chance = business.chance(8)
    people = business.people
    everyone = np.arange(people.count)
    grown = everyone[people.adult & ~people.corporate]
    elder = grown[business.now - people.birth_day[grown] >= _GUARDIAN_DAYS]
    # A number that a dozen have is a fault of the data, and one's own under another id too: neither makes a family.
    family = everyone[(people.phone < everyone) & (people.phone_users <= _FAMILY_MAX) & (people.original == everyone)]
    company = everyone[people.corporate]
    passive = everyone[~business.active & (everyone > 0)]
    guaranteed = np.unique(loans.owner[loans.live & (loans.collateral == GUARANTEED)])
    minor = everyone[~people.adult]
    pairs = (
        (people.phone[family], family),
        (company, _of(chance, grown, company)),
        (passive - 1, passive),
        (guaranteed, _of(chance, grown, guaranteed)),
        (minor, _of(chance, elder, minor)),
    )
    of, who = (np.concatenate(side) for side in zip(*pairs, strict=True))
    kind = np.repeat(np.arange(len(pairs)), [len(one) for one, _ in pairs])
    kept: Mask = of != who  # nobody stands by himself
    return rows(
        "relations",
        {
            "customer_id": people.ids(of[kept]),
            "related_customer_id": people.ids(who[kept]),
            "kind": pick(_KINDS, kind[kept]),
        },
    )


def _of(chance: np.random.Generator, choice: Numbers, of: Numbers) -> Numbers:
    """One of `choice` for each of `of`."""
    return choice[chance.integers(0, len(choice), len(of))]
