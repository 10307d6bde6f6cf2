import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.visibility import CLEAR_FROM, CountScope, Level, Viewer, count_scope_of
from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    Condition,
    ContactCondition,
    ContactCount,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    Not,
    OwnershipCondition,
    Permission,
    RoomLeft,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.query import ORDERS, Facet, Order, OrderField, Query
from services.customer_svc.domain.reach import confining_fields, forbidden, naming_fields, reach_of

OWN, TOTAL = FigureCondition("deposit"), FigureCondition("deposit", whole_bank=True)
MOBILE = IdentityCondition(mobile="1")

# Each kind of condition, the least level that sees what it looks at, and whether the answer says that it confines.
LOOKS: list[tuple[Condition, Level, bool]] = [
    (IdentityCondition(), Level.EXISTENCE, False),
    (IdentityCondition(sex="MALE", age_min=3), Level.SECONDARY, False),
    (MOBILE, Level.PRIMARY, False),
    (IdentityCondition(id_number="1"), Level.PRIMARY, False),
    (OwnershipCondition(), Level.SECONDARY, False),
    (OwnershipCondition(days_without_contact_min=3), Level.SECONDARY, False),
    (OWN, Level.SECONDARY, False),
    (TOTAL, Level.PRIMARY, True),
    (FigureCondition("loan", whole_bank=True), Level.PRIMARY, True),
    (FigureCondition("card"), Level.SECONDARY, False),
    (FigureCondition("behaviour", whole_bank=True), Level.PRIMARY, True),
    (HoldingCondition(), Level.SECONDARY, False),
    (HoldingCondition(whole_bank=True), Level.PRIMARY, True),
    (ValueCondition(bounds=(Bound("tier", 3),)), Level.PRIMARY, True),
    (ValueCondition(bounds=(Bound("key_until_date"),)), Level.PRIMARY, True),
    (ValueCondition(bounds=(Bound("risk_rating", 3),)), Level.SECONDARY, False),
    (ValueCondition(spans=(Span("risk_rating_expiry_date", 0, 3, ahead=True),)), Level.SECONDARY, False),
    (ValueCondition(key=False), Level.PRIMARY, True),
    (ValueCondition(key_reasons=("LOAN",)), Level.PRIMARY, True),
    (ValueCondition(lifecycles=("LOST",)), Level.PRIMARY, True),
    (TagCondition(none_of=("CHURN_RISK",)), Level.PRIMARY, True),
    (GroupCondition(any_of=("g",), least=Level.SECONDARY), Level.SECONDARY, False),
    (GroupCondition(none_of=("g",), least=Level.PRIMARY), Level.PRIMARY, True),
    (ContactCondition(counts=(ContactCount(3),)), Level.SECONDARY, False),
    (ContactCondition(rooms=(RoomLeft("SMS"),)), Level.SECONDARY, False),
    (ContactCondition(consents=(Permission("SMS"),)), Level.SECONDARY, False),
    (ContactCondition(opt_outs=(Permission("SMS"),)), Level.SECONDARY, False),
    (ContactCondition(last_campaign_ids=("c",)), Level.PRIMARY, True),
    (ContactCondition(last_outcomes=("refused",)), Level.PRIMARY, True),
    (ContactCondition(refused_within_days=0), Level.PRIMARY, True),
]


def counting(role: str) -> CountScope:
    return count_scope_of(Viewer("s", "b", frozenset({role})), frozenset({"b"}))


@pytest.mark.parametrize(("condition", "least", "confined"), LOOKS)
def test_a_query_reaches_those_of_whom_everything_named_is_seen(condition: Condition, least: Level, confined) -> None:
    for placed in (condition, Not(condition), AnyOf((IdentityCondition(), condition)), AllOf((Not(condition),))):
        reach = reach_of(Query((placed,)), everyone=False)
        assert (reach.least, reach.confined) == (least, confined), "wherever it stands"
    assert not reach_of(Query((condition,)), everyone=True).confined


@given(st.lists(st.sampled_from(LOOKS), max_size=4), st.sampled_from(OrderField), st.data())
def test_a_further_condition_never_widens_the_reach(looks, order: OrderField, data) -> None:
    conditions = tuple(condition for condition, _, _ in looks)
    reach = reach_of(Query(conditions, Order(order)), everyone=False)
    ordered = CLEAR_FROM.get(ORDERS[order].seen, Level.EXISTENCE)
    assert reach.least == max([level for _, level, _ in looks] + [ordered], default=Level.EXISTENCE)
    fewer = tuple(data.draw(st.lists(st.sampled_from(conditions), unique=True))) if conditions else ()
    assert reach_of(Query(fewer), everyone=False).least <= reach.least


def test_what_is_left_out_is_counted_without_each_conjunct_that_confines() -> None:
    either = AnyOf((OWN, Not(TOTAL)))
    reach = reach_of(Query((OWN, either, TOTAL, MOBILE)), everyone=False)
    assert (reach.confined, reach.least) == (True, Level.PRIMARY)
    assert (reach.open_conditions, reach.open_least) == ((OWN, MOBILE), Level.PRIMARY)
    assert [each.path for each in confining_fields(Query((OWN, either, TOTAL)))] == [
        "conditions[1].any_of.conditions[1].not_of.deposit",
        "conditions[2].deposit",
    ]


@pytest.mark.parametrize(
    ("facet", "confined"), [(Facet.BRANCH, False), (Facet.CLASS, True), (Facet.TAG, True), (Facet.TIER, True)]
)
def test_a_facet_confines_like_a_condition_on_what_it_tells(facet: Facet, confined) -> None:
    assert reach_of(Query(), everyone=False, facets=[facet]).confined == confined


@pytest.mark.parametrize(
    ("role", "condition", "refused"),
    [
        ("BRANCH_HEAD", MOBILE, False),
        ("MANAGER", TOTAL, False),
        ("TELLER", MOBILE, True),
        ("TELLER", Not(IdentityCondition(sex="MALE")), True),
        ("TELLER", OwnershipCondition(unassigned=True), True),
        ("TELLER", AnyOf((IdentityCondition(), OWN)), True),
        ("TELLER", TagCondition(any_of=("A",)), True),
        ("TELLER", ContactCondition(rooms=(RoomLeft("SMS"),)), True),
        ("TELLER", GroupCondition(any_of=("g",), least=Level.SECONDARY), True),
        ("MARKETER", IdentityCondition(sex="MALE"), False),
        ("MARKETER", TOTAL, False),
        ("MARKETER", TagCondition(any_of=("A",)), False),
        ("MARKETER", ValueCondition(key=True), False),
        ("MARKETER", ContactCondition(last_outcomes=("refused",)), False),
        ("MARKETER", Not(IdentityCondition(id_number="1")), True),
        ("ANALYST", IdentityCondition(display_name_prefix="王"), True),
        ("ANALYST", OWN, False),
        ("SERVICE", MOBILE, False),
        ("SERVICE", OwnershipCondition(unassigned=True), False),
        pytest.param("SERVICE", OWN, True, id="a service has no branch of its own"),
        pytest.param("SERVICE", HoldingCondition(), True, id="nor holdings at it"),
    ],
)
def test_a_field_that_the_role_never_sees_is_refused(role: str, condition: Condition, refused) -> None:
    fault = forbidden(Query((condition,)), counting(role))
    assert (fault is not None) == refused
    assert fault is None or (fault.reason == "FIELD_FORBIDDEN" and fault.field.startswith("conditions[0]."))


def test_orders_and_facets_are_refused_like_conditions() -> None:
    fault = forbidden(Query(order=Order(OrderField.TOTAL_DEPOSIT_AVERAGE)), counting("TELLER"))
    assert fault is not None
    assert fault.field == "order.field"
    fault = forbidden(Query(), counting("SERVICE"), [Facet.TAG, Facet.BRANCH])
    assert fault is not None
    assert fault.field == "facets[1]"


def test_a_refusal_names_the_end_of_a_range_that_was_sent() -> None:
    for bound, name in ((Bound("tier", None, 3), "tier_max"), (Bound("contribution_minor", 3), "contribution_min")):
        fault = forbidden(Query((ValueCondition(bounds=(bound,)),)), counting("TELLER"))
        assert fault is not None
        assert fault.field == f"conditions[0].value.{name}"


def test_fields_that_point_at_one_person_are_found_at_any_depth() -> None:
    query = Query((Not(AnyOf((MOBILE, IdentityCondition(sex="MALE")))), IdentityCondition(display_name_prefix="王")))
    assert naming_fields(query) == [
        "conditions[0].not_of.any_of.conditions[0].identity.mobile",
        "conditions[1].identity.display_name_prefix",
    ]
