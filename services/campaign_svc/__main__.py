"""Builds campaign_svc by hand and serves it; `migrate` brings its database to its schema instead."""

import sys
from functools import partial
from pathlib import Path

from banyan.campaign.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    contact_room_service_pb2_grpc,
    contact_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    merge_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    personal_data_service_pb2_grpc,
    product_service_pb2_grpc,
    task_service_pb2_grpc,
)

from chassis import paging
from chassis.audit_servicer import VERIFY, AuditServicer, Verifying
from chassis.channel import mesh
from chassis.feed import Publisher, Wakeups
from chassis.import_servicer import ImportServicer
from chassis.leader import Leader
from chassis.operations import Operations, OperationServicer
from chassis.server import App, Served, run, serve
from chassis.sql.audit import seal_minutes
from chassis.sql.bulk import BulkImport
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.tokens import KeyRing, Revocations, Signer, Verifier
from services.campaign_svc.jobs.follow import followers, watch_revocations
from services.campaign_svc.jobs.housekeeping import keep_house
from services.campaign_svc.peers import assignment, customers
from services.campaign_svc.rpc.contact_room_service import ContactRoomServicer
from services.campaign_svc.rpc.contact_service import ContactServicer
from services.campaign_svc.rpc.merge_service import MergeServicer
from services.campaign_svc.rpc.permissions import ALLOWED
from services.campaign_svc.rpc.personal_data_service import CampaignPersonalDataServicer
from services.campaign_svc.rpc.product_service import ProductServicer
from services.campaign_svc.rpc.task_service import TaskServicer
from services.campaign_svc.settings import Settings
from services.campaign_svc.store import contact_rooms
from services.campaign_svc.store.imports import TABLES

APPLICATION = "campaign_svc"
OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name
NEEDS = (assignment.OWNERSHIP_SERVICE, assignment.ORG_SERVICE, customers.CUSTOMER_SERVICE)
MIGRATIONS = Path(__file__).parent / "store" / "migrations"


async def main(settings: Settings) -> None:
    keys = KeyRing(settings.keys)
    revocations = Revocations()
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    wakeups = Wakeups(settings.valkey_url or None)
    operations = Operations(database, "campaign", {VERIFY: Verifying(database, audit_service_pb2)})
    net = await mesh(settings, APPLICATION, NEEDS, Signer(keys, APPLICATION))
    following = followers(database, net, wakeups)
    app = App(
        application=APPLICATION,
        error_domain="campaign.banyan",
        services=_services(settings, database, operations, wakeups),
        allowed=ALLOWED,
        verifier=Verifier(keys, revocations.is_revoked),
        jobs=[
            *(partial(Leader(net.zookeeper, f"{APPLICATION}/{one.name}").while_leading, one.run) for one in following),
            *(one.observe for one in following),
            partial(watch_revocations, database, revocations),
            partial(keep_house, database),
            partial(seal_minutes, database),
            operations.work,
        ],
        not_ready=lambda: next((reason for one in following if (reason := one.not_ready())), None),
        close=[net.close, wakeups.close, database.close],
    )
    await serve(settings, app, net.registry)


def _services(settings: Settings, database: Database, operations: Operations, wakeups: Wakeups) -> list[Served]:
    secret = paging.secret(settings.keys)
    rooms = Publisher(database, contact_rooms.FEED, contact_rooms.read_page, wakeups)
    return [
        Served(
            "banyan.campaign.v1.ContactRoomService",
            contact_room_service_pb2_grpc.add_ContactRoomServiceServicer_to_server,
            ContactRoomServicer(database, rooms, secret),
        ),
        Served(
            "banyan.campaign.v1.ContactService",
            contact_service_pb2_grpc.add_ContactServiceServicer_to_server,
            ContactServicer(database, secret),
        ),
        Served(
            "banyan.campaign.v1.MergeService",
            merge_service_pb2_grpc.add_MergeServiceServicer_to_server,
            MergeServicer(database, wakeups),
        ),
        Served(
            "banyan.campaign.v1.PersonalDataService",
            personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server,
            CampaignPersonalDataServicer(database, wakeups),
        ),
        Served(
            "banyan.campaign.v1.ProductService",
            product_service_pb2_grpc.add_ProductServiceServicer_to_server,
            ProductServicer(database, secret),
        ),
        Served(
            "banyan.campaign.v1.TaskService",
            task_service_pb2_grpc.add_TaskServiceServicer_to_server,
            TaskServicer(database, secret),
        ),
        Served(
            "banyan.campaign.v1.ImportService",
            import_service_pb2_grpc.add_ImportServiceServicer_to_server,
            ImportServicer(BulkImport(database, TABLES), import_service_pb2.ImportRowsResponse),
        ),
        Served(
            "banyan.campaign.v1.AuditService",
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(database, operations, audit_service_pb2, secret),
        ),
        Served(
            OPERATION_SERVICE,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationServicer(operations, secret),
        ),
    ]


if __name__ == "__main__":
    read = Settings()  # pyright: ignore[reportCallIssue]  # the environment fills it
    if sys.argv[1:] == ["migrate"]:
        migrate(read.database_url, MIGRATIONS, read.database_password)
    else:
        run(main(read))
