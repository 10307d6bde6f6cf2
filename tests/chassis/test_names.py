import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Refused
from chassis.names import ID_PATTERN, make, parse, parse_one, parse_optional

ids = st.from_regex(ID_PATTERN, fullmatch=True)


@given(ids)
def test_a_name_comes_back(customer_id: str):
    assert parse_one("customers", make("customers", customer_id)) == customer_id


@given(ids, ids)
def test_ids_of_a_nested_name_come_in_order(customer_id: str, contact_id: str):
    name = f"customers/{customer_id}/contacts/{contact_id}"
    assert parse("customers/*/contacts/*", name) == (customer_id, contact_id)


@given(st.text(max_size=80))
def test_what_is_parsed_is_an_id_and_all_else_is_refused(text: str):
    try:
        found = parse_one("customers", f"customers/{text}")
    except Refused:
        return
    assert found == text
    assert "/" not in found
    assert 1 <= len(found) <= 64
    assert found.isascii()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "7",
        "customers",
        "customers/",
        "customers/7/",
        "staff/7",
        "customers/7/8",
        "customers/7\n",
        "customers/" + 65 * "x",
    ],
)
def test_what_is_no_name_of_the_collection_is_refused(name: str):
    with pytest.raises(Refused):
        parse_one("customers", name)


def test_no_name_is_no_resource():
    assert parse_optional("branches", "", "parent") is None
    assert parse_optional("branches", "branches/7", "parent") == "7"
    assert make("branches", None) == ""
