"""The benchmark of claims runs to its end: every claim wins, and of everybody's for one customer one."""

from bench import claim_race


def test_claims_and_their_bare_statements_are_measured():
    apart, raced = claim_race.measure(claims=128, races=1)
    assert (apart.name, raced.name) == ("claim_race", "claim_race.one_customer")
    assert apart.limit
