import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.visibility import (
    CLEAR_FROM,
    CONTACT_FIELDS,
    Covered,
    Level,
    OwnerRow,
    Sight,
    Viewer,
    count_scope_of,
    least_level,
    level,
    masked_fields,
    scope_of,
    sight,
)

# Branch 1 leads and 2 follows; 3 lies above 1 and 4 above 2; 5 has nothing to do with the customer.
ROWS = (OwnerRow("1", "PRIMARY", "anna"), OwnerRow("2", "SECONDARY", None))
BELOW = {"1": {"1"}, "2": {"2"}, "3": {"3", "1"}, "4": {"4", "2"}, "5": {"5"}, "6": {"6", "1", "2"}}
ROLES = (
    "BRANCH_HEAD MANAGER PRIVATE_MANAGER LOBBY TELLER MARKETER APPROVER ANALYST ADMIN AUDITOR SERVICE".split()  # noqa: SIM905 -- reads like the table
)


def viewer(role: str, branch: str, staff: str = "somebody") -> Viewer:
    return Viewer(staff, branch, frozenset(role.split("+")))


@pytest.mark.parametrize(
    ("role", "staff", "branch", "expected"),
    [
        ("BRANCH_HEAD", "x", "1", Level.PRIMARY),
        ("BRANCH_HEAD", "x", "2", Level.SECONDARY),
        ("BRANCH_HEAD", "x", "3", Level.PRIMARY),
        ("BRANCH_HEAD", "x", "4", Level.SECONDARY),
        ("BRANCH_HEAD", "x", "5", Level.NONE),
        pytest.param("BRANCH_HEAD", "x", "6", Level.PRIMARY, id="the best branch of the subtree counts"),
        ("MANAGER", "anna", "1", Level.PRIMARY),
        pytest.param("MANAGER", "ben", "1", Level.EXISTENCE, id="a colleague of the manager"),
        pytest.param("MANAGER", "ben", "2", Level.EXISTENCE, id="virtual manager"),
        pytest.param("MANAGER", "anna", "5", Level.NONE, id="moved away"),
        pytest.param("MANAGER", "ben", "3", Level.NONE, id="no subtree for managers"),
        ("PRIVATE_MANAGER", "anna", "1", Level.PRIMARY),
        ("LOBBY", "x", "1", Level.EXISTENCE),
        ("TELLER", "x", "2", Level.EXISTENCE),
        pytest.param("TELLER", "anna", "1", Level.EXISTENCE, id="named but a manager no more"),
        ("TELLER", "x", "3", Level.NONE),
        ("APPROVER", "x", "1", Level.EXISTENCE),
        ("MARKETER", "x", "1", Level.NONE),
        ("ANALYST", "x", "1", Level.NONE),
        ("ADMIN", "x", "1", Level.NONE),
        ("AUDITOR", "x", "1", Level.NONE),
        ("SERVICE", "x", "", Level.SERVICE),
        pytest.param("ADMIN+BRANCH_HEAD", "x", "1", Level.PRIMARY, id="roles add up"),
    ],
)
def test_the_matrix_row_by_row(role: str, staff: str, branch: str, expected: Level) -> None:
    assert level(viewer(role, branch, staff), ROWS, frozenset(BELOW.get(branch, ()))) == expected


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    "covered",
    [
        Covered("anna", "MANAGER", "1"),
        Covered("ben", "MANAGER", "2"),
        Covered("x", "BRANCH_HEAD", "2", frozenset({"2"})),
        Covered("x", "BRANCH_HEAD", "6", frozenset(BELOW["6"])),
        Covered("x", "PRIVATE_MANAGER", "5"),
    ],
    ids=lambda covered: f"{covered.role} at {covered.branch_id}",
)
def test_who_covers_a_role_sees_what_it_sees_and_what_he_saw_before(role: str, covered: Covered) -> None:
    himself, colleague = viewer(role, "4"), Viewer(covered.staff_id, covered.branch_id, frozenset({covered.role}))
    seen = scope_of(himself, frozenset(BELOW["4"]), [covered]).level(ROWS)
    before = level(himself, ROWS, frozenset(BELOW["4"]))
    # That a customer exists, which all staff of a branch know, is nothing of a role.
    by_role = level(colleague, ROWS, covered.subtree)
    assert seen == max(before, by_role if by_role > Level.EXISTENCE else Level.NONE)


@pytest.mark.parametrize("role", ROLES)
def test_only_services_see_a_customer_without_owners(role: str) -> None:
    assert (level(viewer(role, "1"), (), frozenset({"1"})) > Level.NONE) == (role == "SERVICE")


@pytest.mark.parametrize(("branch", "own"), [("1", "1"), ("2", "2"), ("3", "1"), ("4", "2"), ("6", "1"), ("5", None)])
def test_own_means_the_branch_that_opens_the_customer(branch: str, own: str | None) -> None:
    assert scope_of(viewer("BRANCH_HEAD", branch), frozenset(BELOW[branch])).own_branch_id(ROWS) == own


def test_of_several_secondary_branches_own_means_the_viewers() -> None:
    rows = (OwnerRow("7", "PRIMARY", None), OwnerRow("1", "SECONDARY", None), OwnerRow("2", "SECONDARY", None))
    scope = scope_of(viewer("BRANCH_HEAD", "2"), frozenset({"1", "2"}))
    assert scope.own_branch_id(rows) == "2"


def test_nothing_is_own_for_staff_who_see_existence_only() -> None:
    assert scope_of(viewer("TELLER", "1"), frozenset({"1"})).own_branch_id(ROWS) is None


def test_each_level_sees_what_the_matrix_says() -> None:
    assert masked_fields(Level.PRIMARY) == masked_fields(Level.SERVICE) == ()
    bank_wide = ("key_mark", "tags", "total", "value")
    others = ("other_branches", "owners", "ownership_periods")
    hidden = tuple(sorted((*bank_wide, *others, "id_number", "mobile", "state", "update_time")))
    assert masked_fields(Level.SECONDARY) == hidden
    assert set(masked_fields(Level.EXISTENCE)) == set(CLEAR_FROM)
    assert {sight(field, Level.SECONDARY) for field in CONTACT_FIELDS} == {Sight.MASKED}
    assert sight("total", Level.SECONDARY) is Sight.HIDDEN


@given(st.sampled_from(sorted(CLEAR_FROM)), st.sampled_from(Level), st.sampled_from(Level))
def test_a_higher_level_never_sees_less(field: str, one: Level, other: Level) -> None:
    order = [Sight.HIDDEN, Sight.MASKED, Sight.CLEAR]
    low, high = sorted((one, other))
    assert order.index(sight(field, low)) <= order.index(sight(field, high))


def test_a_condition_reaches_whom_it_could_be_read_of() -> None:
    assert least_level([]) == Level.EXISTENCE
    assert least_level(["sex", "own"]) == Level.SECONDARY
    assert least_level(["sex", "total"]) == Level.PRIMARY
    assert least_level(["mobile"]) == Level.PRIMARY


@pytest.mark.parametrize(
    ("role", "counted", "names_nobody", "small_hidden"),
    [
        ("BRANCH_HEAD", True, False, False),
        ("TELLER", True, False, False),
        ("MARKETER", True, True, False),
        ("ANALYST", True, True, True),
        ("ADMIN", False, False, False),
        ("AUDITOR", False, False, False),
        ("ANALYST+MARKETER", True, True, False),
        pytest.param("ANALYST+BRANCH_HEAD", True, False, False, id="who sees by name counts whom he sees"),
    ],
)
def test_who_counts_whom(role, counted, names_nobody, small_hidden) -> None:
    reach = count_scope_of(viewer(role, "1"), frozenset({"1"}))
    assert (reach.scope.level(ROWS) > Level.NONE) == counted
    assert (reach.names_nobody, reach.small_counts_hidden) == (names_nobody, small_hidden)


def test_an_analyst_counts_the_whole_bank() -> None:
    reach = count_scope_of(viewer("ANALYST", "5"), frozenset({"5"}))
    assert reach.scope.level(ROWS) == Level.PRIMARY


def test_nobody_is_anything_to_himself_or_a_relative() -> None:
    scope = scope_of(viewer("BRANCH_HEAD", "1"), frozenset({"1"}), near=frozenset({"somebody", "c1"}))
    levels = [scope.level_for(customer_id, ROWS) for customer_id in ("somebody", "c1", "c2")]
    assert levels == [Level.NONE, Level.NONE, Level.PRIMARY]
