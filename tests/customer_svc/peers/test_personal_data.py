"""The other services' parts in what a person asks, over the wire."""

from pathlib import Path
from typing import Any

import pytest
from banyan.campaign.v1 import personal_data_service_pb2 as pb
from banyan.campaign.v1 import personal_data_service_pb2_grpc

from chassis.caller import Role
from chassis.errors import Kind, Refused
from chassis.server import Served
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.peers.personal_data import NEEDS, PersonalDataPeers

SERVICE = "banyan.campaign.v1.PersonalDataService"
METHODS = ("ReadPersonalData", "ErasePersonalData", "SuppressContacts")


class Campaign(personal_data_service_pb2_grpc.PersonalDataServiceServicer):
    """Stands for campaign_svc: tells two tables in three messages, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked = []
        self.breaks = False

    async def ReadPersonalData(self, request, _context):
        self.asked.append(request)
        for table, rows in (("contacts", ["1", "2"]), ("contacts", ["3"]), ("tasks", [])):
            yield pb.ReadPersonalDataResponse(table=table, rows=rows)
        if self.breaks:
            raise Refused(Kind.UNAVAILABLE, "DATABASE_UNREACHABLE", "half-way")

    async def ErasePersonalData(self, request, _context):
        self.asked.append(request)
        if self.breaks:
            raise Refused(Kind.UNAVAILABLE, "DATABASE_UNREACHABLE", "away")
        return pb.ErasePersonalDataResponse()

    async def SuppressContacts(self, request, _context):
        self.asked.append(request)
        return pb.SuppressContactsResponse()


class Signing:
    """A channel that carries a service's token, as the mesh's do."""

    def __init__(self, channel, metadata) -> None:
        self._channel, self._metadata = channel, metadata

    def __getattr__(self, name: str):
        make = getattr(self._channel, name)

        def made(*arguments, **options):
            call = make(*arguments, **options)
            return lambda request, **more: call(request, metadata=self._metadata, **more)

        return made


@pytest.fixture
def campaign() -> Campaign:
    return Campaign()


@pytest.fixture
async def peers(campaign, tmp_path: Path):
    """Behind every channel is campaign_svc, so that the other two know no such call."""
    signed_in = SignedIn(tmp_path)
    served = Served(SERVICE, personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server, campaign)
    allowed = {f"/{SERVICE}/{method}": frozenset({Role.SERVICE}) for method in METHODS}
    async with in_process(app_of([served], allowed, signed_in), tmp_path) as channel:
        signing = Signing(channel, signed_in.service("customer_svc"))
        channels: Any = dict.fromkeys(NEEDS, signing)
        yield PersonalDataPeers(channels)


async def test_rows_of_several_messages_come_together_by_table(campaign, peers) -> None:
    assert await peers.read("campaign_svc", "c1", "h1", "letter 7") == {"contacts": ["1", "2", "3"], "tasks": []}
    [asked] = campaign.asked
    assert (asked.name, asked.requester, asked.reference) == ("customers/c1", "staff/h1", "letter 7")


async def test_an_erasure_is_handed_on_as_it_is(campaign, peers) -> None:
    await peers.erase("campaign_svc", "c1", "customers/c1/erasures/e1", everything=True)
    await peers.suppress("c2")
    erase, suppress = campaign.asked
    assert (erase.name, erase.erasure, erase.everything) == ("customers/c1", "customers/c1/erasures/e1", True)
    assert suppress.name == "customers/c2"


@pytest.mark.parametrize("service", PersonalDataPeers.names)
async def test_a_service_that_does_not_tell_all_is_named(campaign, peers, service: str) -> None:
    campaign.breaks = True
    for call in (
        peers.read(service, "c1", "h1", "letter 7"),
        peers.erase(service, "c1", "customers/c1/erasures/e1", everything=False),
    ):
        with pytest.raises(Refused) as refused:
            await call
        assert (refused.value.reason, refused.value.metadata) == ("PART_UNAVAILABLE", {"service": service})
