"""Two customers made one in customer_svc, and two again: over random small worlds, and what sources tell since."""

import random
from datetime import date, timedelta

from sqlalchemy import text

from chassis.sql.merging import Merging
from services.customer_svc.store import facts, merged_customers

DAY = date(2026, 6, 30)
ONE = Merging("m1", "s", "t")
TABLES = (
    *("accounts", "loans", "cards", "holdings", "relations", "customer_branch_figures", "monthly_balances"),
    *(
        "potential_tags",
        "manual_tags",
        "tag_overrides",
        "key_marks",
        "key_mark_proposals",
        "group_members",
        "notes",
        "manual_relations",
        "customers",
    ),
)


async def merge(bank, one=ONE):
    async with bank.database.begin() as tx:
        await merged_customers.hold_still(tx, one)
        await merged_customers.unite_customers(tx, one, DAY)


async def undo(bank, one=ONE):
    async with bank.database.begin() as tx:
        await merged_customers.hold_still(tx, one)
        await merged_customers.divide_customers(tx, one, DAY)


async def rows(bank, asked):
    async with bank.database.read() as conn:
        return [tuple(row) for row in await conn.execute(text(asked))]


async def images(bank):
    parts = [f"SELECT '{one}' || (to_jsonb(x) - 'rev' - 'update_time')::text FROM {one} x" for one in TABLES]
    return sorted(row[0] for row in await rows(bank, " UNION ALL ".join(parts)))


async def fill(bank, chance):
    people = ["s", "t", "u", "v"]
    await bank.load("customers", [{"customer_id": one, "display_name": one} for one in people])
    places = ["b1", "b2", "b3"]
    at = {"branch_id": "b1"}
    await bank.load("accounts", [at | {"account_id": f"a{n}", "customer_id": chance.choice(people)} for n in range(6)])
    await bank.load("loans", [at | {"loan_id": f"l{n}", "customer_id": chance.choice(people)} for n in range(3)])
    await bank.load("cards", [at | {"card_id": f"k{n}", "customer_id": chance.choice(people)} for n in range(3)])
    kinds = ["household", "guarantor"]
    pairs = {(*chance.sample(people, 2), chance.choice(kinds)) for _ in range(6)}
    names = ("customer_id", "related_customer_id", "kind")
    await bank.load("relations", [dict(zip(names, pair, strict=True)) for pair in pairs])
    held = {(chance.choice(people), chance.choice(places), chance.choice(["p1", "p2"])) for _ in range(8)}
    names = ("customer_id", "branch_id", "product_code")
    await bank.load("holdings", [dict(zip(names, one, strict=True)) | {"open_date": DAY} for one in held])
    amounts = [None, 5, 70]
    pairs = sorted({(chance.choice(people), chance.choice(places)) for _ in range(8)})
    figures = [
        {
            "customer_id": who,
            "branch_id": place,
            "deposit_balance_minor": chance.choice(amounts),
            "account_count": chance.choice([None, 0, 2]),
            "holding_categories": chance.choice([None, "card;loan", "loan;wealth"]),
            "loan_grade": chance.choice([None, 1, 5]),
        }
        for who, place in pairs
    ]
    await bank.load("customer_branch_figures", figures)
    totals = [{"customer_id": who, "deposit_balance_minor": chance.choice(amounts), "tier": 2} for who in people]
    await bank.load("customer_figures", totals)
    months = [
        {"customer_id": who, "branch_id": place, "month_date": date(2026, 6, 1), "end_minor": 5} for who, place in pairs
    ]
    await bank.load("monthly_balances", months)
    await fill_by_hand(bank, chance, people)


async def fill_by_hand(bank, chance, people):
    async with bank.database.begin() as tx:
        for who in people:
            if chance.random() < 0.7:
                tags = "INSERT INTO manual_tags (customer_id, tag_code, reason, actor) VALUES (:who, :code, 'r', 'a')"
                await tx.execute(text(tags), {"who": who, "code": "BLACKLIST"})
                carried = "UPDATE customers SET tag_codes = '{BLACKLIST}' WHERE customer_id = :who"
                await tx.execute(text(carried), {"who": who})
            if chance.random() < 0.5:
                marks = "INSERT INTO key_marks (customer_id, asset, loan) VALUES (:who, true, :loan)"
                await tx.execute(text(marks), {"who": who, "loan": chance.random() < 0.5})
                spread = (
                    "UPDATE customers c SET key_reason = m.reason FROM key_marks m WHERE m.customer_id = c.customer_id"
                )
                await tx.execute(text(spread))
            note = (
                "INSERT INTO notes (customer_id, note_id, text, author_id, branch_id) VALUES (:who, :who, 'n', '', '')"
            )
            await tx.execute(text(note), {"who": who})
            relation = (
                "INSERT INTO manual_relations (customer_id, relation_id, related_customer_id, kind, reason, author_id,"
                " branch_id) VALUES (:who, 'r' || :who, :other, 'household', 'r', 'a', 'b')"
            )
            other = chance.choice([one for one in people if one != who])
            await tx.execute(text(relation), {"who": who, "other": other})
            member = "INSERT INTO group_members VALUES (:who, :group, 1)"
            await tx.execute(text(member), {"who": who, "group": chance.choice(["g1", "g2"])})
            proposal = (
                "INSERT INTO key_mark_proposals (customer_id, proposal_id, state, reason, end_date, proposer, actor,"
                " decision_reason) VALUES (:who, 'p' || :who, :state, 'r', '2027-01-01', 'p', '', '')"
            )
            await tx.execute(text(proposal), {"who": who, "state": chance.choice(["PROPOSED", "APPROVED", "REFUSED"])})


async def test_merge_and_undo_are_the_identity_on_all_tables(bank, seed):
    await fill(bank, random.Random(seed))
    before = await images(bank)
    counted = "SELECT (SELECT count(*) FROM accounts), (SELECT count(*) FROM loans), (SELECT count(*) FROM cards)"
    held = await rows(bank, counted)
    await merge(bank)
    await merge(bank)
    assert await rows(bank, "SELECT customer_id FROM customers WHERE gone") == [("t",)]
    for table in TABLES[:-1]:
        assert await rows(bank, f"SELECT 1 FROM {table} WHERE customer_id = 't'") == [], table
    assert await rows(bank, "SELECT 1 FROM relations WHERE related_customer_id IN ('t', customer_id)") == []
    between = await images(bank)
    await merge(bank, Merging("m2", "u", "s"))
    assert await rows(bank, counted) == held
    await undo(bank, Merging("m2", "u", "s"))
    assert await images(bank) == between
    await undo(bank)
    await undo(bank)
    assert await images(bank) == before


async def test_figures_of_one_branch_are_added_up(bank):
    await bank.load("customers", [{"customer_id": one} for one in "st"])
    at = {"branch_id": "b1", "account_count": 1}
    told = {
        "deposit_balance_minor": 5,
        "loan_due_date": DAY,
        "largest_in_90d_minor": 7,
        "holding_categories": "card;loan",
    }
    other = {"deposit_balance_minor": 6, "loan_due_date": DAY - timedelta(days=1), "largest_in_90d_minor": 3}
    await bank.load(
        "customer_branch_figures",
        [
            {"customer_id": "s", **at, **told},
            {"customer_id": "t", **at, **other, "holding_categories": "loan;wealth"},
            {"customer_id": "t", **at, "branch_id": "b2"},
        ],
    )
    await bank.load("customer_figures", [{"customer_id": "s", **told}, {"customer_id": "t", **other}])
    await merge(bank)
    shown = "deposit_balance_minor, account_count, loan_due_date, largest_in_90d_minor, holding_categories"
    assert await rows(bank, f"SELECT branch_id, {shown} FROM customer_branch_figures ORDER BY 1") == [
        ("b1", 11, 2, DAY - timedelta(days=1), 7, ["card", "loan", "wealth"]),
        ("b2", None, 1, None, None, None),
    ]
    assert await rows(bank, "SELECT total_deposit_balance_minor FROM customers ORDER BY customer_id") == [
        (11,),
        (None,),
    ]


async def test_what_sources_tell_under_the_old_id_is_the_survivors_and_goes_back_with_an_undo(bank):
    await bank.load("customers", [{"customer_id": one} for one in "stx"])
    at = {"branch_id": "b1"}
    old = [at | {"account_id": "a1", "customer_id": "t"}]
    await bank.load("accounts", old)
    await merge(bank)
    told = [*old, at | {"account_id": "a2", "customer_id": "t"}, at | {"account_id": "a3", "customer_id": "s"}]
    counts = await bank.load("accounts", told)
    assert (counts.inserted, counts.updated) == (2, 0)
    assert (await bank.load("accounts", told)).unchanged == 3
    assert await rows(bank, "SELECT DISTINCT customer_id FROM accounts") == [("s",)]
    relations = [{"customer_id": "t", "related_customer_id": "s"}, {"customer_id": "x", "related_customer_id": "t"}]
    await bank.load("relations", [one | {"kind": "household"} for one in relations])
    assert await rows(bank, "SELECT customer_id, related_customer_id FROM relations") == [("x", "s")]
    await bank.load("customers", [{"customer_id": "t", "display_name": "New"}])
    assert await rows(bank, "SELECT gone, display_name FROM customers WHERE customer_id = 't'") == [(True, "New")]
    await undo(bank)
    assert await rows(bank, "SELECT account_id, customer_id FROM accounts ORDER BY 1") == [
        ("a1", "t"),
        ("a2", "t"),
        ("a3", "s"),
    ]
    assert await rows(bank, "SELECT gone, display_name FROM customers WHERE customer_id = 't'") == [(False, "New")]


async def test_followers_are_told_whom_somebody_was_merged_into(bank):
    await bank.load("customers", [{"customer_id": one} for one in "stu"])
    await merge(bank)
    await merge(bank, Merging("m2", "u", "s"))
    async with bank.database.begin() as tx:
        told = {key: (fact.gone, fact.merged_into) for _, key, fact in await facts.read_page(tx, 0, "", 10)}
    assert told == {"s": (True, "u"), "t": (True, "u"), "u": (False, None)}


GROUPS = """
INSERT INTO customer_groups (group_id, display_name, description, owner_id, sharing, kind, refresh_nightly,
  live_generation, member_count, build_id, build_generation, build_member_count)
SELECT group_id, 'g', '', 'o', 'BANK', 'LIST', false, 1, members, build, 2, building
FROM (VALUES ('both', 3, 'b', 2), ('one', 2, NULL, 0), ('none', 1, NULL, 0)) AS g (group_id, members, build, building)
"""
MEMBERS = """
INSERT INTO group_members (customer_id, group_id, generation)
VALUES ('s', 'both', 1), ('t', 'both', 1), ('u', 'both', 1), ('s', 'both', 2), ('t', 'both', 2),
  ('t', 'one', 1), ('u', 'one', 1), ('u', 'none', 1)
"""


async def test_groups_count_one_person_once(bank):
    await bank.load("customers", [{"customer_id": one} for one in "stu"])
    async with bank.database.begin() as tx:
        await tx.execute(text(GROUPS))
        await tx.execute(text(MEMBERS))
    told = "SELECT group_id, member_count, build_member_count FROM customer_groups ORDER BY 1"
    counted = "SELECT group_id, count(*) FROM group_members WHERE generation = 1 GROUP BY 1 ORDER BY 1"
    before = [("both", 3, 2), ("none", 1, 0), ("one", 2, 0)]
    assert await rows(bank, told) == before
    await merge(bank)
    assert await rows(bank, told) == [("both", 2, 1), ("none", 1, 0), ("one", 2, 0)]
    assert await rows(bank, counted) == [("both", 2), ("none", 1), ("one", 2)]
    await undo(bank)
    assert await rows(bank, told) == before
    assert await rows(bank, counted) == [("both", 3), ("none", 1), ("one", 2)]
