"""customer_svc's servicers over the wire, behind the whole chain, and a bank to ask about."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import grpc
import pytest
from banyan.customer.v1 import (
    attachment_service_pb2_grpc,
    customer_group_service_pb2_grpc,
    customer_service_pb2_grpc,
    export_service_pb2_grpc,
    import_service_pb2_grpc,
    key_mark_service_pb2_grpc,
    note_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    relation_service_pb2_grpc,
    tag_service_pb2_grpc,
    timeline_service_pb2_grpc,
)

from chassis.feed import Publisher, Wakeups
from chassis.operations import Operations, OperationServicer
from chassis.server import Served
from chassis.sql.bulk import BulkImport
from chassis.testing import SignedIn, app_of, in_process
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.org import Staff
from services.customer_svc.domain.parts import Missing, Parts
from services.customer_svc.domain.timeline import Entry, Wanted
from services.customer_svc.rpc.attachment_service import AttachmentServicer
from services.customer_svc.rpc.customer_group_service import BUILD, Building, CustomerGroupServicer
from services.customer_svc.rpc.customer_service import CustomerServicer
from services.customer_svc.rpc.export_service import Exporting, ExportServicer
from services.customer_svc.rpc.import_service import CustomerImportServicer
from services.customer_svc.rpc.key_mark_service import KeyMarkServicer
from services.customer_svc.rpc.note_service import NoteServicer
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.rpc.relation_service import RelationServicer
from services.customer_svc.rpc.tag_service import TagServicer
from services.customer_svc.rpc.timeline_service import TimelineServicer
from services.customer_svc.store import facts, org
from services.customer_svc.store.imports import bulk_tables
from services.customer_svc.usecases.export_customers import METHOD as EXPORT

SECRET = b"s" * 32


class Source:
    """Stands for assignment_svc: tells owners when a test says that what is followed is too old."""

    def __init__(self) -> None:
        self.owners_of: dict[str, list[Owner]] | None = None

    async def __call__(self, customer_id: str) -> list[Owner] | None:
        return None if self.owners_of is None else self.owners_of.get(customer_id, [])


@pytest.fixture
def source() -> Source:
    return Source()


class Peers:
    """Stands for the services that know more of customers: tells what a test says, and remembers who was asked of."""

    def __init__(self) -> None:
        self.parts = Parts()
        self.asked: list[str] = []

    async def __call__(self, customer_id: str) -> Parts:
        self.asked.append(customer_id)
        return self.parts


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture(scope="session")
def signed_in(tmp_path_factory: pytest.TempPathFactory) -> SignedIn:
    return SignedIn(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def operations(bank) -> Operations:
    """The long work of the service; nobody does it unless a test asks for `working`."""
    handlers = {BUILD: Building(bank.database, bank.keys, "CNY"), EXPORT: Exporting(bank.database, bank.keys, "CNY")}
    return Operations(bank.database, "customer", handlers)


@pytest.fixture
async def working(operations) -> AsyncIterator[None]:
    """Somebody does the long work."""
    worker = asyncio.create_task(operations.work())
    yield
    worker.cancel()
    await asyncio.wait([worker])


@pytest.fixture
async def channel(  # noqa: PLR0917 -- all that its servicers need
    bank, signed_in, source, operations, peers, tmp_path: Path
) -> AsyncIterator[grpc.aio.Channel]:
    database, wakeups = bank.database, Wakeups(None)
    publisher = Publisher(database, facts.FEED, facts.read_page, wakeups)
    services = [
        Served(
            "banyan.customer.v1.CustomerService",
            customer_service_pb2_grpc.add_CustomerServiceServicer_to_server,
            CustomerServicer(database, publisher, source, SECRET, "CNY", bank.keys, peers),
        ),
        Served(
            "banyan.customer.v1.ImportService",
            import_service_pb2_grpc.add_ImportServiceServicer_to_server,
            CustomerImportServicer(BulkImport(database, bulk_tables(bank.keys)), wakeups),
        ),
        Served(
            "banyan.customer.v1.CustomerGroupService",
            customer_group_service_pb2_grpc.add_CustomerGroupServiceServicer_to_server,
            CustomerGroupServicer(database, operations, SECRET, "CNY"),
        ),
        Served(
            "banyan.customer.v1.ExportService",
            export_service_pb2_grpc.add_ExportServiceServicer_to_server,
            ExportServicer(database, operations, SECRET, "CNY", bank.keys),
        ),
        Served(
            operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationServicer(operations, SECRET),
        ),
    ]
    async with in_process(app_of(services, ALLOWED, signed_in, "customer.banyan"), tmp_path) as opened:
        yield opened
    await wakeups.close()


@pytest.fixture
async def tag_channel(filled, signed_in, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """The services of tags and key marks, about the filled bank; what a test defines is forgotten after it."""
    wakeups = Wakeups(None)
    services = [
        Served(
            "banyan.customer.v1.TagService",
            tag_service_pb2_grpc.add_TagServiceServicer_to_server,
            TagServicer(filled.database, SECRET),
        ),
        Served(
            "banyan.customer.v1.KeyMarkService",
            key_mark_service_pb2_grpc.add_KeyMarkServiceServicer_to_server,
            KeyMarkServicer(filled.database, wakeups, SECRET),
        ),
    ]
    async with in_process(app_of(services, ALLOWED, signed_in, "customer.banyan"), tmp_path) as opened:
        yield opened
    await wakeups.close()
    async with filled.database.begin() as tx:
        await tx.exec_driver_sql("DELETE FROM tags WHERE actor <> ''")


class Entries:
    """Stands for the services that tell events of a customer's life."""

    def __init__(self) -> None:
        self.told: list[Entry] = []
        self.missing: list[Missing] = []
        self.asked = 0

    async def __call__(self, _customer_id: str, _wanted: Wanted) -> tuple[list[Entry], list[Missing]]:
        self.asked += 1
        return self.told, self.missing


@pytest.fixture
def entries() -> Entries:
    return Entries()


@pytest.fixture
async def page_channel(filled, signed_in, entries, tmp_path: Path) -> AsyncIterator[grpc.aio.Channel]:
    """The services beside a customer's page, about the filled bank."""
    database = filled.database
    notes, attachments = NoteServicer(database, SECRET), AttachmentServicer(database, SECRET)
    relations, timeline = (
        RelationServicer(database, SECRET, filled.keys),
        TimelineServicer(database, entries, SECRET, "CNY"),
    )
    added = {
        "NoteService": (note_service_pb2_grpc.add_NoteServiceServicer_to_server, notes),
        "AttachmentService": (attachment_service_pb2_grpc.add_AttachmentServiceServicer_to_server, attachments),
        "RelationService": (relation_service_pb2_grpc.add_RelationServiceServicer_to_server, relations),
        "TimelineService": (timeline_service_pb2_grpc.add_TimelineServiceServicer_to_server, timeline),
    }
    services = [Served(f"banyan.customer.v1.{name}", *how) for name, how in added.items()]
    async with in_process(app_of(services, ALLOWED, signed_in, "customer.banyan"), tmp_path) as opened:
        yield opened


@pytest.fixture
async def filled(bank):
    """Wang is led by branch b1 (manager m1) and also served by b2; north lies above both; b9 is elsewhere.

    Li is b1's without a manager. Zhao has no business of his own: he is Wang's disponent.
    """
    await bank.load(
        "customers",
        [
            {
                "customer_id": "wang",
                "display_name": "王小明",
                "mobile": "13812345678",
                "id_number": "110101199001011234",
                "birth_date": date(1990, 1, 1),
                "state": "FROZEN",
            },
            {"customer_id": "li", "display_name": "李四", "mobile": "13900000001"},
            {"customer_id": "zhao", "display_name": "赵六", "mobile": "13700000001"},
        ],
    )
    await bank.load("relations", [{"customer_id": "wang", "related_customer_id": "zhao", "kind": "disponent"}])
    await bank.load(
        "accounts",
        [
            {"account_id": "a1", "customer_id": "wang", "branch_id": "b1", "balance_minor": 1000},
            {"account_id": "a2", "customer_id": "wang", "branch_id": "b2", "balance_minor": 50},
            {"account_id": "a0", "customer_id": "wang", "branch_id": "b1", "close_date": date(2020, 2, 1)},
        ],
    )
    await bank.load("loans", [{"loan_id": "l1", "customer_id": "wang", "branch_id": "b2", "outstanding_minor": 700}])
    await bank.load("cards", [{"card_id": "k1", "customer_id": "wang", "branch_id": "b1", "limit_minor": None}])
    figures = {"customer_id": "wang", "deposit_balance_minor": 1000, "deposit_average_minor": 900}
    await bank.load_figures([figures | {"branch_id": "b1"}, figures | {"branch_id": "b2", "deposit_balance_minor": 50}])
    await bank.own(
        {
            "wang": [
                Owner("b1", "PRIMARY", "m1", date(2026, 1, 1)),
                Owner("b2", "SECONDARY", None, date(2026, 2, 1)),
            ],
            "li": [Owner("b1", "PRIMARY", None, None)],
        }
    )
    await bank.grow({"north": None, "b1": "north", "b2": "north", "b9": None})
    return bank


@pytest.fixture
async def hire(bank):
    """`await hire("h1", "b1", Role.BRANCH_HEAD)` makes somebody known as staff, as the org feed does."""

    async def put(staff_id: str, branch_id: str, *roles: str, until: date | None = None) -> None:
        person = Staff(staff_id, branch_id, staff_id, frozenset(roles), None, until)
        async with bank.database.begin() as tx:
            await org.put_org(tx, [person], 1)

    return put
