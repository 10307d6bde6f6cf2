"""Who stands by whom at the demo bank."""


def test_there_are_relations_of_every_kind(ask):
    kinds = ask("SELECT kind FROM relations GROUP BY kind HAVING count(*) > 100 ORDER BY kind")
    assert [kind for (kind,) in kinds] == ["company_owner", "disponent", "guarantor", "guardian", "household"]


def test_nobody_is_his_own_family_under_another_id(ask):
    assert ask("""
        SELECT count(*) FROM relations r JOIN customers a USING (customer_id)
        JOIN customers b ON b.customer_id = related_customer_id
        WHERE kind = 'household' AND (a.id_number = b.id_number OR b.id_number IS NULL)""") == [(0,)]


def test_every_minor_has_a_guardian_old_enough_to_be_a_parent(ask):
    [(minors, guarded)] = ask("""
        SELECT count(DISTINCT c.customer_id),
            count(DISTINCT c.customer_id) FILTER (g.birth_date + 18 * 365 <= c.birth_date)
        FROM customers c LEFT JOIN relations r ON r.customer_id = c.customer_id AND kind = 'guardian'
        LEFT JOIN customers g ON g.customer_id = related_customer_id
        WHERE c.birth_date > today() - 18 * 365""")
    assert minors == guarded > 300


def test_companies_are_owned_and_guaranteed_loans_are_guaranteed_by_grown_up_people(ask):
    assert ask("""
        SELECT count(*) FROM relations JOIN customers o ON o.customer_id = related_customer_id
        WHERE kind IN ('company_owner', 'guarantor', 'guardian')
            AND (customer_type = 'CORPORATE' OR birth_date > today() - 18 * 365)""") == [(0,)]
    assert ask("""
        SELECT count(*) FROM customers c
        ANTI JOIN relations r ON r.customer_id = c.customer_id AND kind = 'company_owner'
        WHERE customer_type = 'CORPORATE'""") == [(0,)]
    [(without, guaranteed)] = ask("""
        SELECT count(DISTINCT l.customer_id) FILTER (r.kind IS NULL), count(DISTINCT l.customer_id)
        FROM loans l LEFT JOIN relations r ON r.customer_id = l.customer_id AND kind = 'guarantor'
        WHERE collateral = 'GUARANTEE' AND state = 'LIVE'""")
    assert without <= 2  # chance chose the borrower himself
    assert guaranteed > 100
