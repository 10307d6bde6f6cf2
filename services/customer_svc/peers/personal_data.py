"""The other services' parts of what a person asks: to see his data, and to be erased. Asked by the service itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from banyan.alert.v1 import personal_data_service_pb2 as alert
from banyan.alert.v1 import personal_data_service_pb2_grpc as alert_grpc
from banyan.assignment.v1 import personal_data_service_pb2 as assignment
from banyan.assignment.v1 import personal_data_service_pb2_grpc as assignment_grpc
from banyan.campaign.v1 import personal_data_service_pb2 as campaign
from banyan.campaign.v1 import personal_data_service_pb2_grpc as campaign_grpc

from chassis.caller import calling, current_request_id
from chassis.errors import Kind, Refused
from services.customer_svc.domain.personal_data import Rows

ASSIGNMENT_PERSONAL_DATA = "banyan.assignment.v1.PersonalDataService"
CAMPAIGN_PERSONAL_DATA = "banyan.campaign.v1.PersonalDataService"
ALERT_PERSONAL_DATA = "banyan.alert.v1.PersonalDataService"
NEEDS = (ASSIGNMENT_PERSONAL_DATA, CAMPAIGN_PERSONAL_DATA, ALERT_PERSONAL_DATA)

_SECONDS_MAX = 30.0


@dataclass(frozen=True)
class _Peer:
    """A service, and its own types of the messages that are alike in all."""

    stub: Any
    messages: Any


class PersonalDataPeers:
    """The three other services, by the channels to each of NEEDS."""

    names = ("assignment_svc", "campaign_svc", "alert_svc")

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._campaign = campaign_grpc.PersonalDataServiceStub(channels[CAMPAIGN_PERSONAL_DATA])
        self._peers = {
            "assignment_svc": _Peer(
                assignment_grpc.PersonalDataServiceStub(channels[ASSIGNMENT_PERSONAL_DATA]), assignment
            ),
            "campaign_svc": _Peer(self._campaign, campaign),
            "alert_svc": _Peer(alert_grpc.PersonalDataServiceStub(channels[ALERT_PERSONAL_DATA]), alert),
        }

    async def read(self, service: str, customer_id: str, requester_id: str, reference: str) -> Rows:
        """Every row that a service keeps of a customer. Refuses, naming the service, if it does not tell them all."""
        peer = self._peers[service]
        request = peer.messages.ReadPersonalDataRequest(
            name=f"customers/{customer_id}", requester=f"staff/{requester_id}", reference=reference
        )
        rows: dict[str, list[str]] = {}
        try:
            with calling(None, current_request_id()):
                async for answer in peer.stub.ReadPersonalData(request, timeout=_SECONDS_MAX):
                    rows.setdefault(answer.table, []).extend(answer.rows)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(service) from error
        return rows

    async def erase(self, service: str, customer_id: str, erasure: str, *, everything: bool) -> None:
        """Has a service erase a customer; asked again it changes nothing. Refuses if it cannot now."""
        peer = self._peers[service]
        request = peer.messages.ErasePersonalDataRequest(
            name=f"customers/{customer_id}", erasure=erasure, everything=everything
        )
        try:
            with calling(None, current_request_id()):
                await peer.stub.ErasePersonalData(request, timeout=_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            raise _unavailable(service) from error

    async def suppress(self, customer_id: str) -> None:
        """Has campaign_svc put a customer down as not to be contacted. Refuses if it cannot now."""
        request = campaign.SuppressContactsRequest(name=f"customers/{customer_id}")
        try:
            with calling(None, current_request_id()):
                await self._campaign.SuppressContacts(request, timeout=_SECONDS_MAX)
        except grpc.aio.AioRpcError as error:
            raise _unavailable("campaign_svc") from error


def _unavailable(service: str) -> Refused:
    message = f"{service} does not tell or do its part now; try again later"
    return Refused(Kind.UNAVAILABLE, "PART_UNAVAILABLE", message, {"service": service})
