"""Builds customer_svc by hand and serves it; `migrate` brings its database to its schema instead."""

import sys
from functools import partial

from banyan.customer.v1 import (
    audit_service_pb2_grpc,
    contact_data_service_pb2_grpc,
    customer_group_service_pb2_grpc,
    customer_service_pb2_grpc,
    export_service_pb2_grpc,
    import_service_pb2_grpc,
    key_mark_service_pb2_grpc,
    merge_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    personal_data_service_pb2_grpc,
    tag_service_pb2_grpc,
)

from chassis import paging
from chassis.channel import Mesh, mesh
from chassis.data_keys import DataKeys, DataKeysUnusable
from chassis.feed import Publisher, Wakeups
from chassis.jobs import Job
from chassis.leader import Leader
from chassis.operations import Operations, OperationServicer
from chassis.server import App, Served, run, serve
from chassis.sql.audit import seal_minutes
from chassis.sql.bulk import BulkImport
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.tokens import KeyRing, Revocations, Signer, Verifier
from services.customer_svc.jobs.expiry import expire_always, reconcile_always
from services.customer_svc.jobs.follow import follow_contact_rooms, follow_org, follow_ownership, watch_revocations
from services.customer_svc.jobs.group_upkeep import build_nightly, clear_away
from services.customer_svc.jobs.merges import find_nightly, run_always
from services.customer_svc.jobs.partitions import keep_partitions
from services.customer_svc.jobs.personal_data import keep_promises
from services.customer_svc.jobs.reencrypt import check_keys, keep_sealed, seal_plain
from services.customer_svc.peers.alerts import ALERT_SERVICE
from services.customer_svc.peers.contact_rooms import CONTACT_ROOM_SERVICE
from services.customer_svc.peers.contacts import CONTACT_SERVICE
from services.customer_svc.peers.merges import ASSIGNMENT_MERGE_SERVICE, CAMPAIGN_MERGE_SERVICE, MergePeers
from services.customer_svc.peers.org import ORG_SERVICE
from services.customer_svc.peers.ownership import OWNERSHIP_SERVICE, owners_when_lagging
from services.customer_svc.peers.parts import Sources, parts_from
from services.customer_svc.peers.personal_data import NEEDS as PERSONAL_DATA
from services.customer_svc.peers.personal_data import PersonalDataPeers
from services.customer_svc.peers.tasks import TASK_SERVICE
from services.customer_svc.rpc.audit_service import VERIFY, AuditServicer, Verifying
from services.customer_svc.rpc.contact_data_service import ContactDataServicer
from services.customer_svc.rpc.convert_groups import reader_of
from services.customer_svc.rpc.customer_group_service import BUILD, Building, CustomerGroupServicer
from services.customer_svc.rpc.customer_service import CustomerServicer
from services.customer_svc.rpc.export_service import Exporting, ExportServicer
from services.customer_svc.rpc.import_service import CustomerImportServicer
from services.customer_svc.rpc.key_mark_service import KeyMarkServicer
from services.customer_svc.rpc.merge_service import FIND, Finding, MergeServicer
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.rpc.personal_data_service import ExportingPersonalData, PersonalDataServicer
from services.customer_svc.rpc.tag_service import TagServicer
from services.customer_svc.settings import Settings
from services.customer_svc.store import MIGRATIONS, facts
from services.customer_svc.store.imports import bulk_tables
from services.customer_svc.usecases.export_customers import METHOD as EXPORT
from services.customer_svc.usecases.export_personal_data import METHOD as EXPORT_PERSONAL_DATA
from services.customer_svc.usecases.run_merges import Peers

APPLICATION = "customer_svc"
CUSTOMER_SERVICE = "banyan.customer.v1.CustomerService"
CUSTOMER_GROUP_SERVICE = "banyan.customer.v1.CustomerGroupService"
EXPORT_SERVICE = "banyan.customer.v1.ExportService"
KEY_MARK_SERVICE = "banyan.customer.v1.KeyMarkService"
TAG_SERVICE = "banyan.customer.v1.TagService"
AUDIT_SERVICE = "banyan.customer.v1.AuditService"
CONTACT_DATA_SERVICE = "banyan.customer.v1.ContactDataService"
PERSONAL_DATA_SERVICE = "banyan.customer.v1.PersonalDataService"
IMPORT_SERVICE = "banyan.customer.v1.ImportService"
OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name
MERGE_SERVICE = "banyan.customer.v1.MergeService"
NEEDS = (
    OWNERSHIP_SERVICE,
    ORG_SERVICE,
    CONTACT_ROOM_SERVICE,
    ASSIGNMENT_MERGE_SERVICE,
    CAMPAIGN_MERGE_SERVICE,
    CONTACT_SERVICE,
    TASK_SERVICE,
    ALERT_SERVICE,
    *PERSONAL_DATA,
)


async def main(settings: Settings) -> None:
    """Serves until the process is told to stop."""
    keys, data_keys = KeyRing(settings.keys), DataKeys(settings.data_keys)
    revocations = Revocations()
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    await check_keys(database, data_keys)
    wakeups = Wakeups(settings.valkey_url or None)
    net = await mesh(settings, APPLICATION, NEEDS, Signer(keys, APPLICATION))
    operations = _operations(net, database, data_keys, settings.currency)
    ownership, org = follow_ownership(database, net, wakeups), follow_org(database, net, wakeups)
    rooms = follow_contact_rooms(database, net, wakeups)
    sources = Sources(
        *(net.channel(name) for name in (OWNERSHIP_SERVICE, CONTACT_SERVICE, TASK_SERVICE, ALERT_SERVICE))
    )
    following = (ownership, org, rooms)
    customers = CustomerServicer(
        database,
        Publisher(database, facts.FEED, facts.read_page, wakeups),
        owners_when_lagging(net.channel(OWNERSHIP_SERVICE), lambda: ownership.lag_seconds),
        paging.secret(settings.keys),
        settings.currency,
        data_keys,
        parts_from(sources),
    )
    imports = CustomerImportServicer(BulkImport(database, bulk_tables(data_keys)), wakeups)
    served = [
        Served(CUSTOMER_SERVICE, customer_service_pb2_grpc.add_CustomerServiceServicer_to_server, customers),
        Served(
            CUSTOMER_GROUP_SERVICE,
            customer_group_service_pb2_grpc.add_CustomerGroupServiceServicer_to_server,
            CustomerGroupServicer(database, operations, paging.secret(settings.keys), settings.currency),
        ),
        Served(
            EXPORT_SERVICE,
            export_service_pb2_grpc.add_ExportServiceServicer_to_server,
            ExportServicer(database, operations, paging.secret(settings.keys), settings.currency, data_keys),
        ),
        *_tag_services(database, wakeups, paging.secret(settings.keys)),
        _merge_service(net, database, operations, paging.secret(settings.keys)),
        *_privacy_services(database, operations, paging.secret(settings.keys), data_keys),
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
            partial(
                Leader(net.zookeeper, f"{APPLICATION}/sealing").while_leading, partial(keep_sealed, database, data_keys)
            ),
            partial(watch_revocations, database, revocations),
            partial(keep_partitions, database),
            partial(seal_minutes, database),
            operations.work,
            *_tag_jobs(net, database, wakeups),
            *_merge_jobs(net, database, wakeups),
            partial(
                Leader(net.zookeeper, f"{APPLICATION}/personal_data").while_leading,
                partial(keep_promises, database, _personal_data_peers(net), wakeups),
            ),
            partial(
                Leader(net.zookeeper, f"{APPLICATION}/groups").while_leading,
                partial(build_nightly, database, reader_of(settings.currency, data_keys)),
            ),
            partial(Leader(net.zookeeper, f"{APPLICATION}/clear").while_leading, partial(clear_away, database)),
        ],
        # Nobody is turned away for what is known of contacts: without campaign_svc it is only older.
        not_ready=lambda: next((reason for one in (ownership, org) if (reason := one.not_ready())), None),
        close=[net.close, wakeups.close, database.close],
    )
    await serve(settings, app, net.registry)


def _operations(net: Mesh, database: Database, data_keys: DataKeys, currency: str) -> Operations:
    """The long work of this service, by what starts it."""
    return Operations(
        database,
        "customer",
        {
            BUILD: Building(database, data_keys, currency),
            EXPORT: Exporting(database, data_keys, currency),
            EXPORT_PERSONAL_DATA: ExportingPersonalData(database, data_keys, _personal_data_peers(net)),
            FIND: Finding(database),
            VERIFY: Verifying(database),
        },
    )


def _personal_data_peers(net: Mesh) -> PersonalDataPeers:
    return PersonalDataPeers({name: net.channel(name) for name in PERSONAL_DATA})


def _privacy_services(database: Database, operations: Operations, secret: bytes, data_keys: DataKeys) -> list[Served]:
    return [
        Served(
            CONTACT_DATA_SERVICE,
            contact_data_service_pb2_grpc.add_ContactDataServiceServicer_to_server,
            ContactDataServicer(database, data_keys),
        ),
        Served(
            PERSONAL_DATA_SERVICE,
            personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server,
            PersonalDataServicer(database, operations, secret, data_keys),
        ),
        Served(
            AUDIT_SERVICE,
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(database, operations, secret),
        ),
    ]


def _tag_services(database: Database, wakeups: Wakeups, secret: bytes) -> list[Served]:
    return [
        Served(TAG_SERVICE, tag_service_pb2_grpc.add_TagServiceServicer_to_server, TagServicer(database, secret)),
        Served(
            KEY_MARK_SERVICE,
            key_mark_service_pb2_grpc.add_KeyMarkServiceServicer_to_server,
            KeyMarkServicer(database, wakeups, secret),
        ),
    ]


def _tag_jobs(net: Mesh, database: Database, wakeups: Wakeups) -> list[Job]:
    """Each in one instance at a time."""
    ending = partial(reconcile_always, database, net.channel(OWNERSHIP_SERVICE))
    return [
        partial(
            Leader(net.zookeeper, f"{APPLICATION}/expiry").while_leading, partial(expire_always, database, wakeups)
        ),
        partial(Leader(net.zookeeper, f"{APPLICATION}/private_managers").while_leading, ending),
    ]


def _merge_peers(net: Mesh) -> MergePeers:
    return MergePeers(net.channel(ASSIGNMENT_MERGE_SERVICE), net.channel(CAMPAIGN_MERGE_SERVICE))


def _merge_service(net: Mesh, database: Database, operations: Operations, secret: bytes) -> Served:
    servicer = MergeServicer(database, operations, _merge_peers(net), secret)
    return Served(MERGE_SERVICE, merge_service_pb2_grpc.add_MergeServiceServicer_to_server, servicer)


def _merge_jobs(net: Mesh, database: Database, wakeups: Wakeups) -> list[Job]:
    """Each in one instance at a time."""
    asked = _merge_peers(net)
    peers = Peers(asked.merge_ownership, asked.undo_ownership, asked.merge_contacts, asked.undo_contacts)
    return [
        partial(
            Leader(net.zookeeper, f"{APPLICATION}/merges").while_leading, partial(run_always, database, peers, wakeups)
        ),
        partial(Leader(net.zookeeper, f"{APPLICATION}/duplicates").while_leading, partial(find_nightly, database)),
    ]


def migrate_and_seal(settings: Settings) -> None:
    """Brings the database to its schema, and seals what stands in clear since before there were data keys."""
    data_keys = DataKeys(settings.data_keys)
    data_keys.check()
    migrate(settings.database_url, MIGRATIONS, settings.database_password)
    run(_seal(settings, data_keys))


async def _seal(settings: Settings, data_keys: DataKeys) -> None:
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    await seal_plain(database, data_keys)
    await check_keys(database, data_keys)
    await database.close()


if __name__ == "__main__":
    read = Settings()  # pyright: ignore[reportCallIssue]  # the environment fills it
    try:
        if sys.argv[1:] == ["migrate"]:
            migrate_and_seal(read)
        else:
            run(main(read))
    except DataKeysUnusable as error:
        sys.exit(f"{APPLICATION}: {error}")
