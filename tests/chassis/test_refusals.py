import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status

from chassis.errors import CODE_OF, VIOLATIONS_MAX, Kind, Refused, Violation, invalid_fields, not_found
from chassis.refusals import CHASSIS_REASONS, Answer, answer_to, late


def details(answer: Answer) -> tuple[ErrorInfo, list[str]]:
    [(key, raw)] = answer.trailing_metadata
    assert key == "grpc-status-details-bin"
    assert isinstance(raw, bytes)
    assert len(raw) <= 5_100  # what gRPC takes as metadata, with room to spare
    status = Status.FromString(raw)
    info, bad = ErrorInfo(), BadRequest()
    assert status.details[0].Unpack(info)
    if len(status.details) > 1:
        assert status.details[1].Unpack(bad)
    return info, [violation.field for violation in bad.field_violations]


@pytest.mark.parametrize("kind", list(Kind))
def test_each_kind_has_one_code(kind: Kind):
    answer = answer_to(Refused(kind, "SOME_REASON", "no"), "customer.banyan", "r-1")
    assert (answer.code, answer.message, answer.reason) == (CODE_OF[kind], "no", "SOME_REASON")
    assert details(answer)[0].domain == "customer.banyan"


@pytest.mark.parametrize("reason", sorted(CHASSIS_REASONS))
def test_a_reason_that_all_services_share_has_the_shared_domain(reason: str):
    answer = answer_to(Refused(Kind.INVALID, reason, "no"), "customer.banyan", "r-1")
    assert details(answer)[0].domain == "banyan"


def test_what_is_hidden_is_answered_like_what_is_absent():
    assert answer_to(not_found(), "a", "r-1") == answer_to(not_found(), "a", "r-2")


def test_at_most_50_violations_are_told():
    refused = invalid_fields([Violation(f"r[{row}]", "no") for row in range(1000)])
    assert len(details(answer_to(refused, "a", "r"))[1]) == VIOLATIONS_MAX


def test_long_violations_are_told_as_far_as_they_fit():
    refused = invalid_fields([Violation(f"rows[{row}].branch_id", "must be so " * 40) for row in range(50)])
    fields = details(answer_to(refused, "a", "r"))[1]
    assert 1 < len(fields) < 50
    assert fields[0] == "rows[0].branch_id"


def test_an_endless_message_is_cut():
    answer = answer_to(Refused(Kind.INVALID, "R", "x" * 100_000), "a", "r")
    assert len(answer.message) == 500
    details(answer)


def test_a_fault_of_ours_tells_a_request_id_and_nothing_else():
    answer = answer_to(KeyError("password"), "customer.banyan", "r-1")
    assert (answer.code, answer.message) == (grpc.StatusCode.INTERNAL, "internal error")
    info, _ = details(answer)
    assert (info.reason, info.domain, dict(info.metadata)) == ("INTERNAL", "banyan", {"request_id": "r-1"})


def test_a_call_whose_time_is_over_has_its_own_code():
    assert late().code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert details(late())[0].reason == "DEADLINE_EXCEEDED"
