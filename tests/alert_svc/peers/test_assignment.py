from datetime import date

from banyan.assignment.v1 import acting_manager_pb2, org_service_pb2, ownership_pb2, ownership_service_pb2, staff_pb2
from google.type.date_pb2 import Date

from chassis.acting import Acting
from policy.visibility import OwnerRow
from services.alert_svc.domain.followed import OwnershipFact
from services.alert_svc.peers.assignment import org_fact, ownership_fact


def test_the_private_manager_of_the_whole_stands_with_the_primary_row() -> None:
    owners = [
        ownership_pb2.Owner(branch="branches/b1", side=ownership_pb2.SIDE_PRIMARY, manager="staff/m1"),
        ownership_pb2.Owner(branch="branches/b2", side=ownership_pb2.SIDE_SECONDARY),
    ]
    told = ownership_pb2.Ownership(name="customers/c1/ownership", owners=owners, private_manager="staff/pm")
    rows = (OwnerRow("b1", "PRIMARY", "m1", "pm"), OwnerRow("b2", "SECONDARY", None))
    assert ownership_fact(ownership_service_pb2.OwnershipChange(ownership=told)) == OwnershipFact("c1", rows)


def test_an_ownership_that_is_gone_has_no_rows() -> None:
    told = ownership_pb2.Ownership(name="customers/c1/ownership")
    assert ownership_fact(ownership_service_pb2.OwnershipChange(ownership=told, gone=True)) == OwnershipFact("c1", ())


def test_who_covers_whom_is_understood() -> None:
    told = acting_manager_pb2.ActingManager(
        name="branches/b1/actingManagers/a1",
        acting="staff/s1",
        covered="staff/s2",
        role=staff_pb2.ROLE_MANAGER,
        from_date=Date(year=2026, month=7, day=1),
        until_date=Date(year=2026, month=7, day=9),
    )
    days = (date(2026, 7, 1), date(2026, 7, 9))
    for gone in (False, True):
        change = org_service_pb2.OrgChange(acting_manager=told, gone=gone)
        assert org_fact(change) == Acting("a1", "s1", "s2", "MANAGER", "b1", *days, gone)
