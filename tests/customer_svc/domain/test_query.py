from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    FigureCondition,
    GroupCondition,
    IdentityCondition,
    Not,
    TagCondition,
    singles,
)
from services.customer_svc.domain.query import ORDERS, OrderField, single_paths, walk, with_singles

MALE, LOAN, TAG = IdentityCondition(sex="MALE"), FigureCondition("loan", holds=True), TagCondition(all_of=("A",))
COMBINED = (MALE, AnyOf((LOAN, AllOf((TAG, Not(MALE))))))


def test_paths_lead_to_every_condition_as_the_request_has_it() -> None:
    assert [path for path, _ in single_paths(COMBINED)] == [
        "conditions[0].identity",
        "conditions[1].any_of.conditions[0].loan",
        "conditions[1].any_of.conditions[1].all_of.conditions[0].tag",
        "conditions[1].any_of.conditions[1].all_of.conditions[1].not_of.identity",
    ]


def test_a_walk_meets_outer_conditions_before_those_inside() -> None:
    met = [condition for _, condition in walk(COMBINED)]
    assert met[:3] == [MALE, COMBINED[1], LOAN]
    assert len(met) == 7
    assert list(singles(COMBINED)) == [MALE, LOAN, TAG, MALE]


def test_single_conditions_change_where_they_stand() -> None:
    changed = with_singles(COMBINED, lambda single: GroupCondition() if single == MALE else single)
    assert changed == (GroupCondition(), AnyOf((LOAN, AllOf((TAG, Not(GroupCondition()))))))


def test_own_and_total_orders_come_in_pairs() -> None:
    for field, source in ORDERS.items():
        if source.seen == "own":
            other = ORDERS[OrderField(field.replace("OWN_", "TOTAL_"))]
            assert (other.seen, other.column, other.kind) == ("total", source.column, source.kind)
