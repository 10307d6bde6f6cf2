"""campaign_svc over the wire, behind the whole chain."""

import asyncio
import io
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import grpc
import pyarrow as pa
import pytest
from banyan.campaign.v1 import (
    contact_pb2,
    contact_service_pb2,
    contact_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    product_service_pb2,
    product_service_pb2_grpc,
)

from chassis import wire
from chassis.caller import Role
from chassis.import_servicer import ImportServicer
from chassis.server import Served
from chassis.sql.bulk import BulkImport
from chassis.sql.engine import Database
from chassis.testing import SignedIn, app_of, in_process
from policy.visibility import OwnerRow
from services.campaign_svc.domain.followed import CustomerFact, OwnershipFact
from services.campaign_svc.rpc.contact_service import ContactServicer
from services.campaign_svc.rpc.permissions import ALLOWED
from services.campaign_svc.rpc.product_service import ProductServicer
from services.campaign_svc.store import followed
from services.campaign_svc.store.imports import CONTACT_SCHEMA, PRODUCT_SCHEMA, TABLES

NOON = datetime(2026, 6, 30, 4, tzinfo=UTC)
SECRET = b"s" * 32


@pytest.fixture(scope="module")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
async def channel(database: Database, signed_in: SignedIn, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """c1 is b1's, managed by m1."""
    async with database.begin() as tx:
        await followed.store_customers(tx, [CustomerFact("c1"), CustomerFact("c2")], 1)
        await followed.store_ownerships(tx, [OwnershipFact("c1", (OwnerRow("b1", "PRIMARY", "m1"),))], 1)
    services = [
        Served(
            "banyan.campaign.v1.ContactService",
            contact_service_pb2_grpc.add_ContactServiceServicer_to_server,
            ContactServicer(database, SECRET),
        ),
        Served(
            "banyan.campaign.v1.ProductService",
            product_service_pb2_grpc.add_ProductServiceServicer_to_server,
            ProductServicer(database, SECRET),
        ),
        Served(
            "banyan.campaign.v1.ImportService",
            import_service_pb2_grpc.add_ImportServiceServicer_to_server,
            ImportServicer(BulkImport(database, TABLES), import_service_pb2.ImportRowsResponse),
        ),
    ]
    async with in_process(app_of(services, ALLOWED, signed_in, "campaign.banyan"), tmp_path) as opened:
        yield opened


def made(request_id: str, **change: object) -> contact_service_pb2.RecordContactRequest:
    request = contact_service_pb2.RecordContactRequest(parent="customers/c1", request_id=request_id)
    request.contact.channel = contact_pb2.CHANNEL_CALL
    request.contact.message_class = contact_pb2.MESSAGE_CLASS_SERVICE
    request.contact.contact_time.FromDatetime(NOON)
    for field, value in change.items():
        setattr(request.contact, field, value)
    return request


def rows(table: str, content: pa.Table) -> Iterator[import_service_pb2.ImportRowsRequest]:
    header = import_service_pb2.ImportHeader(table=table, business_date=wire.date_to_wire(date(2026, 6, 30)))
    yield import_service_pb2.ImportRowsRequest(header=header)
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, content.schema) as writer:
        writer.write_table(content)
    for start in range(0, len(stream.getvalue()), 1000):
        yield import_service_pb2.ImportRowsRequest(arrow=stream.getvalue()[start : start + 1000])


async def test_sixteen_senders_of_one_request_id_make_one_contact(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    stub = contact_service_pb2_grpc.ContactServiceStub(channel)
    manager = signed_in.staff(Role.MANAGER, staff_id="m1", branch_id="b1")
    request = made(str(uuid.uuid4()))
    answers = await asyncio.gather(*(stub.RecordContact(request, metadata=manager) for _ in range(16)))
    assert {answer.name for answer in answers} == {answers[0].name}
    assert (answers[0].actor, answers[0].state) == ("m1", contact_pb2.Contact.STATE_ACCEPTED)
    listing = await stub.ListContacts(contact_service_pb2.ListContactsRequest(parent="customers/c1"), metadata=manager)
    assert list(listing.contacts) == [answers[0]]
    got = await stub.GetContact(contact_service_pb2.GetContactRequest(name=answers[0].name), metadata=manager)
    assert got == answers[0]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (made(""), "request_id"),
        (made("r", channel=0), "contact.channel"),
        (made("r", channel=99), "contact.channel"),
        (made("r", product="p1"), "contact.product"),
    ],
)
async def test_a_bad_request_names_its_field(
    channel: grpc.aio.Channel, signed_in: SignedIn, request_: contact_service_pb2.RecordContactRequest, field: str
) -> None:
    stub = contact_service_pb2_grpc.ContactServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as no:
        await stub.RecordContact(request_, metadata=signed_in.staff(Role.BRANCH_HEAD, branch_id="b1"))
    assert no.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(no.value.details())


async def test_products_and_contacts_come_by_bulk_and_an_equal_row_is_not_written_again(
    channel: grpc.aio.Channel, signed_in: SignedIn
) -> None:
    imports = import_service_pb2_grpc.ImportServiceStub(channel)
    products = pa.Table.from_pylist(
        [{"product_id": f"p{n}", "display_name": f"存款{n}", "category": "deposit"} for n in range(3)], PRODUCT_SCHEMA
    )
    first = await imports.ImportRows(rows("products", products), metadata=signed_in.service())
    assert (first.received_count, first.inserted_count) == (3, 3)
    again = await imports.ImportRows(rows("products", products), metadata=signed_in.service())
    assert (again.inserted_count, again.updated_count, again.unchanged_count) == (0, 0, 3)
    stub = product_service_pb2_grpc.ProductServiceStub(channel)
    page = await stub.ListProducts(
        product_service_pb2.ListProductsRequest(page_size=2), metadata=signed_in.staff(Role.TELLER)
    )
    assert [one.name for one in page.products] == ["products/p0", "products/p1"]
    assert page.next_page_token

    sent = {
        "contact_id": "k1",
        "customer_id": "c1",
        "channel": "SMS",
        "message_class": "MARKETING",
        "contact_time": NOON,
        "state": "DELIVERED",
        "product_id": "p0",
    }
    contacts = pa.Table.from_pylist([sent], CONTACT_SCHEMA)
    stored = await imports.ImportRows(rows("contacts", contacts), metadata=signed_in.service())
    assert stored.inserted_count == 1
    corrected = pa.Table.from_pylist([{**sent, "contact_time": NOON.replace(hour=5)}], CONTACT_SCHEMA)
    moved = await imports.ImportRows(rows("contacts", corrected), metadata=signed_in.service())
    assert (moved.inserted_count, moved.updated_count) == (0, 1)
    other = pa.Table.from_pylist([{**sent, "customer_id": "c2"}], CONTACT_SCHEMA)
    given = await imports.ImportRows(rows("contacts", other), metadata=signed_in.service())
    assert (given.inserted_count, given.updated_count) == (0, 1)
    ledger = contact_service_pb2_grpc.ContactServiceStub(channel)
    request = contact_service_pb2.ListContactsRequest(parent="customers/c1")
    assert list((await ledger.ListContacts(request, metadata=signed_in.service())).contacts) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"customer_id": "nobody"}, "rows[0].customer_id"),
        ({"product_id": "nothing"}, "rows[0].product_id"),
        ({"channel": "PIGEON"}, "rows[0].channel"),
        ({"state": None}, "rows[0].state"),
    ],
)
async def test_a_bad_row_is_named_and_nothing_is_stored(
    channel: grpc.aio.Channel, signed_in: SignedIn, change: dict[str, object], field: str
) -> None:
    sent = {
        "contact_id": "k1",
        "customer_id": "c1",
        "channel": "SMS",
        "message_class": "MARKETING",
        "contact_time": NOON,
        "state": "DELIVERED",
    }
    nullable = pa.schema([one.with_nullable(nullable=True) for one in CONTACT_SCHEMA])
    bad = pa.Table.from_pylist([{**sent, **change}, {**sent, "contact_id": "k2"}], nullable)
    imports = import_service_pb2_grpc.ImportServiceStub(channel)
    with pytest.raises(grpc.aio.AioRpcError) as no:
        await imports.ImportRows(rows("contacts", bad), metadata=signed_in.service())
    assert no.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert field in str(no.value.details())
    stub = contact_service_pb2_grpc.ContactServiceStub(channel)
    listing = await stub.ListContacts(
        contact_service_pb2.ListContactsRequest(parent="customers/c1"), metadata=signed_in.service()
    )
    assert list(listing.contacts) == []
