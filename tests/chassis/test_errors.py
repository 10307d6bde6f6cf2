import grpc
import pytest

from chassis.errors import CODE_OF, VIOLATIONS_MAX, Kind, Refused, Violation, invalid_field, invalid_fields, not_found


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_a_code_that_says_the_call_failed(kind: Kind):
    assert CODE_OF[kind] not in {grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL}


def test_no_two_kinds_share_a_code():
    assert len(set(CODE_OF.values())) == len(CODE_OF)


def test_the_message_names_the_first_field_and_counts_the_others():
    one = invalid_field("page_size", "must not be negative")
    assert (one.kind, one.reason, one.message) == (Kind.INVALID, "FIELD_INVALID", "page_size: must not be negative")
    three = invalid_fields([Violation(name, "is required") for name in ("name", "kind", "state")])
    assert three.message == "name: is required (and 2 more)"


def test_no_more_violations_are_kept_than_anybody_reads():
    refused = invalid_fields([Violation(f"rows[{row}]", "is odd") for row in range(1000)], "ROW_INVALID")
    assert (len(refused.violations), refused.reason) == (VIOLATIONS_MAX, "ROW_INVALID")


def test_what_is_absent_and_what_is_hidden_are_refused_alike():
    assert str(not_found()) == str(not_found())
    assert not_found().kind is Kind.NOT_FOUND


def test_the_metadata_is_a_copy():
    metadata = {"limit": "5"}
    refused = Refused(Kind.EXHAUSTED, "LIMIT", "at most 5", metadata)
    metadata["limit"] = "6"
    assert refused.metadata == {"limit": "5"}
