"""Builds customer_svc by hand and serves it; `migrate` brings its database to its schema instead."""

import sys
from functools import partial

from banyan.customer.v1 import (
    customer_service_pb2_grpc,
    import_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
)

from chassis import paging
from chassis.channel import mesh
from chassis.data_keys import DataKeys
from chassis.feed import Publisher, Wakeups
from chassis.leader import Leader
from chassis.operations import Operations, OperationServicer
from chassis.server import App, Served, run, serve
from chassis.sql.audit import seal_minutes
from chassis.sql.bulk import BulkImport
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.tokens import KeyRing, Revocations, Signer, Verifier
from services.customer_svc.jobs.follow import follow_contact_rooms, follow_org, follow_ownership, watch_revocations
from services.customer_svc.jobs.partitions import keep_partitions
from services.customer_svc.peers.contact_rooms import CONTACT_ROOM_SERVICE
from services.customer_svc.peers.org import ORG_SERVICE
from services.customer_svc.peers.ownership import OWNERSHIP_SERVICE, owners_when_lagging
from services.customer_svc.rpc.customer_service import CustomerServicer
from services.customer_svc.rpc.import_service import CustomerImportServicer
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.settings import Settings
from services.customer_svc.store import MIGRATIONS, facts
from services.customer_svc.store.imports import bulk_tables

APPLICATION = "customer_svc"
CUSTOMER_SERVICE = "banyan.customer.v1.CustomerService"
IMPORT_SERVICE = "banyan.customer.v1.ImportService"
OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name
NEEDS = (OWNERSHIP_SERVICE, ORG_SERVICE, CONTACT_ROOM_SERVICE)


async def main(settings: Settings) -> None:
    """Serves until the process is told to stop."""
    keys, data_keys = KeyRing(settings.keys), DataKeys(settings.data_keys)
    revocations = Revocations()
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    wakeups = Wakeups(settings.valkey_url or None)
    operations = Operations(database, "customer", {})
    net = await mesh(settings, APPLICATION, NEEDS, Signer(keys, APPLICATION))
    ownership, org = follow_ownership(database, net, wakeups), follow_org(database, net, wakeups)
    rooms = follow_contact_rooms(database, net, wakeups)
    following = (ownership, org, rooms)
    customers = CustomerServicer(
        database,
        Publisher(database, facts.FEED, facts.read_page, wakeups),
        owners_when_lagging(net.channel(OWNERSHIP_SERVICE), lambda: ownership.lag_seconds),
        paging.secret(settings.keys),
        settings.currency,
        data_keys,
    )
    imports = CustomerImportServicer(BulkImport(database, bulk_tables(data_keys)), wakeups)
    served = [
        Served(CUSTOMER_SERVICE, customer_service_pb2_grpc.add_CustomerServiceServicer_to_server, customers),
        Served(IMPORT_SERVICE, import_service_pb2_grpc.add_ImportServiceServicer_to_server, imports),
        Served(
            OPERATION_SERVICE,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationServicer(operations, paging.secret(settings.keys)),
        ),
    ]
    app = App(
        application=APPLICATION,
        error_domain="customer.banyan",
        services=served,
        allowed=ALLOWED,
        verifier=Verifier(keys, revocations.is_revoked),
        jobs=[
            *(partial(Leader(net.zookeeper, f"{APPLICATION}/{one.name}").while_leading, one.run) for one in following),
            *(one.observe for one in following),
            partial(watch_revocations, database, revocations),
            partial(keep_partitions, database),
            partial(seal_minutes, database),
            operations.work,
        ],
        # Nobody is turned away for what is known of contacts: without campaign_svc it is only older.
        not_ready=lambda: next((reason for one in (ownership, org) if (reason := one.not_ready())), None),
        close=[net.close, wakeups.close, database.close],
    )
    await serve(settings, app, net.registry)


if __name__ == "__main__":
    read = Settings()  # pyright: ignore[reportCallIssue]  # the environment fills it
    if sys.argv[1:] == ["migrate"]:
        migrate(read.database_url, MIGRATIONS, read.database_password)
    else:
        run(main(read))
