import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from banyan.alert.v1.alert_service_pb2 import ListAlertsRequest
from banyan.assignment.v1.branch_pb2 import Branch
from banyan.assignment.v1.org_service_pb2 import ListBranchesRequest, ListBranchesResponse, ListStaffRequest
from hypothesis import given
from hypothesis import strategies as st

from chassis import paging
from chassis.caller import Caller, Role, calling
from chassis.errors import Kind, Refused
from chassis.paging import KeyPart, cut, decode, encode, page_size

SECRET = b"s" * 32
REQUEST = ListAlertsRequest(customer="customers/7", page_size=20)
parts = st.one_of(st.text(max_size=64), st.integers(-(2**63), 2**63 - 1), st.booleans(), st.none())


@given(st.lists(parts, max_size=4))
def test_a_key_comes_back(key: list[KeyPart]):
    assert decode(encode(key, REQUEST, SECRET), REQUEST, SECRET) == tuple(key)


def test_no_token_asks_for_the_first_page():
    assert decode("", REQUEST, SECRET) is None


def test_a_token_is_good_for_another_page_size():
    token = encode(["7"], REQUEST, SECRET)
    again = ListAlertsRequest(customer="customers/7", page_size=1000, page_token=token)
    assert decode(token, again, SECRET) == ("7",)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(ListAlertsRequest(customer="customers/8"), id="another filter"),
        pytest.param(ListAlertsRequest(), id="no filter"),
        pytest.param(ListBranchesRequest(parent="customers/7"), id="another method"),
    ],
)
def test_a_token_of_another_request_is_refused(other: ListAlertsRequest):
    refused(encode(["7"], REQUEST, SECRET), other)


def test_a_token_of_another_caller_is_refused():
    def caller(staff_id: str) -> Caller:
        until = datetime(2030, 1, 1, tzinfo=UTC)
        return Caller(staff_id, "b1", frozenset({Role.MANAGER}), "s1", "banyan/assignment_svc", until, "token")

    with calling(caller("m1"), "r1"):
        token = encode(["7"], REQUEST, SECRET)
        assert decode(token, REQUEST, SECRET) == ("7",)
    with calling(caller("m2"), "r2"):
        refused(token, REQUEST)


def test_requests_of_equal_bytes_but_other_types_are_told_apart():
    branches, staff = ListBranchesRequest(parent="branches/1"), ListStaffRequest(branch="branches/1")
    assert branches.SerializeToString() == staff.SerializeToString()
    refused(encode(["7"], branches, SECRET), staff)


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda token: "A" + token[1:] if token[0] != "A" else "B" + token[1:], id="another mac"),
        pytest.param(lambda token: token[:-4] + "AAAA", id="another key"),
        pytest.param(lambda token: token[:20], id="cut"),
        pytest.param(lambda token: token + "A", id="longer"),
        pytest.param(lambda _: "WyI3Il0", id="a key without a mac"),
        pytest.param(lambda _: "not base64!", id="not base64"),
        pytest.param(lambda _: "榕", id="not ASCII"),
        pytest.param(lambda _: "A" * 5000, id="endless"),
    ],
)
def test_a_forged_token_is_refused(forge: object):
    assert callable(forge)
    refused(str(forge(encode(["7"], REQUEST, SECRET))), REQUEST)


def test_a_token_of_another_deployment_is_refused():
    refused(encode(["7"], REQUEST, b"t" * 32), REQUEST)


def refused(token: str, request: object) -> None:
    assert isinstance(request, (ListAlertsRequest, ListBranchesRequest, ListStaffRequest))
    with pytest.raises(Refused) as raised:
        decode(token, request, SECRET)
    assert (raised.value.kind, raised.value.reason) == (Kind.INVALID, "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(("asked", "given_"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (10**9, 1000)])
def test_a_page_is_as_large_as_asked_within_limits(asked: int, given_: int):
    assert page_size(asked) == given_


def test_a_negative_page_size_is_refused():
    with pytest.raises(Refused):
        page_size(-1)


@given(st.lists(st.integers(0, 40), max_size=20), st.integers(0, 120))
def test_a_page_holds_what_fits_and_always_one(sizes: list[int], most: int):
    items = [ListAlertsRequest(customer="x" * size) for size in sizes]
    left, pages = items, []
    while left:
        pages.append(cut(left, most))
        left = left[len(pages[-1]) :]
    assert [item for page in pages for item in page] == items
    for page in pages:
        whole = [ListBranchesResponse(branches=[Branch(name=item.customer)]).ByteSize() for item in page]
        assert len(page) == 1 or sum(whole) <= most


def test_the_secret_is_made_once_even_by_many_at_a_time(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: paging.secret(tmp_path), range(32)))
    assert len(secrets) == 1
    assert stat.S_IMODE((tmp_path / "paging.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["paging.key"]
