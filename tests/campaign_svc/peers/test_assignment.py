from banyan.assignment.v1 import ownership_pb2, ownership_service_pb2

from policy.visibility import OwnerRow
from services.campaign_svc.domain.followed import OwnershipFact
from services.campaign_svc.peers.assignment import ownership_fact


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
