"""The demo bank's customers: people and companies, families on one phone, duplicates, minors, dead and frozen ones.

The last 0.6 % of the ids are somebody before them under a second id, with his name and birthday. Of these the half with
odd numbers also have his document; of the others, which were entered without one, every second has his phone.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from devstack.demo_columns import Mask, Numbers, amounts, between, day_number, days, ids, joined, pick, rows
from devstack.demo_documents import id_numbers, licence_numbers
from devstack.demo_words import (
    CITIES,
    COMPANY_TRADES,
    COMPANY_WORDS,
    DISTRICTS,
    FEMALE_NAMES,
    MALE_NAMES,
    OCCUPATIONS,
    SURNAMES,
)

CUSTOMER_DIGITS = 8
CORPORATE_SHARE = 0.04
DUPLICATE_SHARE = 0.006
FAMILY_SHARE = 0.08
# One number in so many customers is written down for a dozen of them: a fault of the data.
FAULTY_PHONE_EVERY = 5_000
FAULTY_PHONE_SIZE = 12
_STATES = ("ACTIVE", "DECEASED", "FROZEN")
ADULT_DAYS = 18 * 365
# How many adults told how much risk they bear, and for how long that is valid.
RATED_SHARE = 0.55
RATING_DAYS = 365
RATING_EXPIRED_DAYS_MAX = 90


@dataclass(frozen=True)
class People:
    """What the rest of the bank needs to know of its customers."""

    count: int
    original: Numbers
    """Who each customer is: himself, but for those who are there twice."""
    corporate: Mask
    adult: Mask
    """Grown up, or a company."""
    birth_day: Numbers
    since_day: Numbers
    phone: Numbers
    """Customers with the same number here share a phone."""
    phone_users: Numbers
    """How many customers have this customer's phone."""
    marketable: Mask
    customers: pa.Table

    def ids(self, numbers: Numbers) -> pa.Array:
        """The ids of customers by number."""
        return ids("C", numbers + 1, CUSTOMER_DIGITS)


def make_people(count: int, seed: int, today: date) -> People:
    """Customers with everything the feed tells of them."""
    chance = np.random.default_rng([seed, 2])
    now = day_number(today)
    everyone = np.arange(count)
    original = _originals(chance, count)
    corporate = (chance.random(count) < CORPORATE_SHARE)[original]
    age_days = np.clip(chance.normal(46 * 365, 16 * 365, count), 365, 92 * 365).astype(np.int64)
    birth_day = (now - age_days)[original]
    since_day = np.maximum(between(chance, np.full(count, day_number(date(1999, 1, 1))), now - 1), birth_day)
    # Half of the duplicates were entered without their identity document, half of these with another phone too.
    no_document = (original != everyone) & (everyone % 2 == 0)
    phone = np.where(no_document & (everyone % 4 == 2), everyone, _phones(count)[original])  # noqa: PLR2004 - every second
    state = chance.choice(3, count, p=[0.995, 0.003, 0.002])
    female = (chance.random(count) < 0.51)[original]  # noqa: PLR2004 - as in the population
    trade = chance.integers(0, len(COMPANY_TRADES), count)[original]
    adult = (now - birth_day >= ADULT_DAYS) | corporate
    columns = {
        "customer_id": ids("C", everyone + 1, CUSTOMER_DIGITS),
        "customer_type": pick(("INDIVIDUAL", "CORPORATE"), corporate.astype(np.int64)),
        "display_name": _names(chance, corporate, (female, trade), original),
        "sex": pick(("MALE", "FEMALE"), female.astype(np.int64), corporate),
        "birth_date": days(birth_day, corporate),
        "id_type": pick(("ID_CARD", "BUSINESS_LICENCE"), corporate.astype(np.int64), no_document),
        "id_number": _documents(corporate, birth_day, original, no_document),
        "id_expiry_date": days(between(chance, np.full(count, now - 200), now + 7000), corporate | no_document),
        "mobile": ids("100", phone, 8, chance.random(count) < 0.04),  # noqa: PLR2004 - some gave no number
        "occupation": pick(OCCUPATIONS, chance.integers(0, len(OCCUPATIONS), count), corporate),
        "residence_district": pick(DISTRICTS, chance.integers(0, len(DISTRICTS), count)),
        "customer_since_date": days(since_day),
        "state": pick(_STATES, state),
        "industry": pick(COMPANY_TRADES, trade, ~corporate),
        **_ratings(np.random.default_rng([seed, 13]), adult & ~corporate, since_day, now),
    }
    return People(
        count,
        original,
        corporate,
        adult,
        birth_day,
        since_day,
        phone,
        np.bincount(phone)[phone],
        (state == 0) & adult,
        rows("customers", columns),
    )


def _originals(chance: np.random.Generator, count: int) -> Numbers:
    """Who each customer is: himself, or, at the end, one of those before under a second id."""
    original = np.arange(count)
    duplicates = int(count * DUPLICATE_SHARE)
    if duplicates:
        original[-duplicates:] = chance.choice(count - duplicates, duplicates, replace=False)
    return original


def _phones(count: int) -> Numbers:
    """One number each, but for families, who share the one of the first of them, and the faulty ones."""
    phone = np.arange(count)
    family = int(1 / FAMILY_SHARE) * 2
    phone[phone % family == 1] -= 1
    phone[(phone % family == 2) & (phone % (3 * family) < family)] -= 2  # noqa: PLR2004 - a third one, in each third family
    faulty = np.arange(count) % FAULTY_PHONE_EVERY < FAULTY_PHONE_SIZE
    phone[faulty] = np.arange(count)[faulty] // FAULTY_PHONE_EVERY * FAULTY_PHONE_EVERY
    return phone


def _documents(corporate: Mask, birth_day: Numbers, original: Numbers, missing: Mask) -> pa.Array:
    """Identity cards of people, registrations of companies."""
    both = pa.concat_arrays([id_numbers(birth_day, original, missing), licence_numbers(original, missing)])
    return both.take(pa.array(np.arange(len(original)) + np.where(corporate, len(original), 0)))


def _ratings(chance: np.random.Generator, person: Mask, since_day: Numbers, now: int) -> dict[str, pa.Array]:
    """How much risk a grown-up bears, asked once a year; some have not been asked again."""
    count = len(person)
    rating = chance.choice(5, count, p=[0.2, 0.3, 0.3, 0.15, 0.05]) + 1
    asked = np.maximum(between(chance, np.full(count, now - RATING_DAYS - RATING_EXPIRED_DAYS_MAX), now), since_day)
    unrated = ~person | (chance.random(count) >= RATED_SHARE)
    return {
        "risk_rating": amounts(rating, unrated),
        "risk_rating_expiry_date": days(asked + RATING_DAYS, unrated),
    }


def _names(chance: np.random.Generator, corporate: Mask, traits: tuple[Mask, Numbers], original: Numbers) -> pa.Array:
    """Names of people by their sex, and of companies by their trade."""
    female, trade = traits
    count = len(corporate)
    given = (*FEMALE_NAMES, *MALE_NAMES)

    def one_given() -> Numbers:
        of_men = chance.integers(0, len(MALE_NAMES), count) + len(FEMALE_NAMES)
        return np.where(female, chance.integers(0, len(FEMALE_NAMES), count), of_men)

    # Common surnames come first.
    surname = np.minimum(chance.exponential(12, count), len(SURNAMES) - 1).astype(np.int64)
    second = pick(("", *given), np.where(chance.random(count) < 0.2, 0, one_given() + 1))  # noqa: PLR2004 - short names
    person = joined(pick(SURNAMES, surname), pick(given, one_given()), second)
    company = joined(
        pick(CITIES, chance.integers(0, len(CITIES), count)),
        pick(COMPANY_WORDS, chance.integers(0, len(COMPANY_WORDS), count)),
        pick(COMPANY_TRADES, trade),
        "有限公司",
    )
    # `corporate` is that of the original already; the names are taken from him too.
    both = pa.concat_arrays([person, company])
    return both.take(pa.array(original + np.where(corporate, count, 0)))
