"""Relations between customers: those that the source tells, and those that staff told and ended."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from services.customer_svc.domain.customer import RelatedPerson

KINDS = ("disponent", "guarantor", "guardian", "company_owner", "household")
REASON_LENGTH_MAX = 400
MANUAL_MAX = 100
"""How many that hold staff may tell of one customer."""
_ID_LENGTH = 16


@dataclass(frozen=True)
class Told:
    """Who told a relation and why, and who ended it."""

    relation_id: str
    author_id: str
    reason: str
    create_time: datetime
    end_time: datetime | None = None
    end_actor: str = ""
    end_reason: str = ""


@dataclass(frozen=True)
class Relation:
    """One customer's relation, as one viewer sees it; `told` is None for the source's."""

    relation_id: str
    person: RelatedPerson
    told: Told | None = None


@dataclass(frozen=True)
class NewRelation:
    """What somebody wants to tell: `related_customer_id` stands by `customer_id` as what `kind` says."""

    customer_id: str
    related_customer_id: str
    kind: str
    reason: str
    author_id: str
    branch_id: str


def feed_relation_id(secret: bytes, customer_id: str, related_customer_id: str, kind: str) -> str:
    """The id of a relation that the source tells: always the same, and telling nobody who the related one is."""
    told = f"relation\n{customer_id}\n{related_customer_id}\n{kind}".encode()
    return f"feed-{hmac.digest(secret, told, hashlib.sha256)[:_ID_LENGTH].hex()}"
