from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from banyan.assignment.v1 import acting_manager_pb2, branch_pb2, org_service_pb2, staff_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date

from chassis.acting import Acting
from services.customer_svc.domain.org import Branch, Gone, RevokedSession, Staff
from services.customer_svc.peers.org import change_from_wire

Change = org_service_pb2.OrgChange
BRANCH = branch_pb2.Branch(name="branches/b1", display_name="North", parent="branches/b0")
STAFF = staff_pb2.Staff(
    name="staff/s1",
    branch="branches/b1",
    display_name="王",
    roles=[staff_pb2.ROLE_TELLER, staff_pb2.ROLE_LOBBY],
    active_until_date=Date(year=2026, month=7, day=1),
)
SESSION = org_service_pb2.RevokedSession(session="sessions/x1", expire_time=Timestamp(seconds=60))

ACTING = acting_manager_pb2.ActingManager(
    name="branches/b1/actingManagers/a1",
    acting="staff/s1",
    covered="staff/s2",
    role=staff_pb2.ROLE_MANAGER,
    from_date=Date(year=2026, month=7, day=1),
    until_date=Date(year=2026, month=7, day=9),
)
UNDERSTOOD = Acting("a1", "s1", "s2", "MANAGER", "b1", date(2026, 7, 1), date(2026, 7, 9))


@pytest.mark.parametrize(
    ("change", "understood"),
    [
        (Change(branch=BRANCH), Branch("b1", "b0", "North")),
        (Change(branch=branch_pb2.Branch(name="branches/b0")), Branch("b0", None, "")),
        (Change(branch=branch_pb2.Branch(name="branches/b1"), gone=True), Gone(branch_id="b1")),
        (
            Change(staff=STAFF),
            Staff("s1", "b1", "王", frozenset({"TELLER", "LOBBY"}), None, date(2026, 7, 1)),
        ),
        (Change(staff=staff_pb2.Staff(name="staff/s1"), gone=True), Gone(staff_id="s1")),
        (Change(revoked_session=SESSION), RevokedSession("x1", datetime(1970, 1, 1, 0, 1, tzinfo=UTC))),
        pytest.param(Change(revoked_session=SESSION, gone=True), None, id="it expires by itself"),
        (Change(acting_manager=ACTING), UNDERSTOOD),
        (Change(acting_manager=ACTING, gone=True), replace(UNDERSTOOD, gone=True)),
        pytest.param(Change(), None, id="a kind of a later version"),
    ],
)
def test_each_change_is_understood(change, understood) -> None:
    assert change_from_wire(change) == understood
