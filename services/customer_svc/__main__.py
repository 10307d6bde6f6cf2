"""Builds customer_svc by hand and serves it; `migrate` brings its database to its schema instead."""

import sys
from functools import partial

from banyan.customer.v1 import (
    attachment_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    contact_data_service_pb2_grpc,
    customer_group_service_pb2_grpc,
    customer_service_pb2_grpc,
    export_service_pb2_grpc,
    import_service_pb2_grpc,
    key_mark_service_pb2_grpc,
    merge_service_pb2_grpc,
    note_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    personal_data_service_pb2_grpc,
    relation_service_pb2_grpc,
    tag_service_pb2_grpc,
    timeline_service_pb2_grpc,
)

from chassis import paging, telemetry
from chassis.audit_servicer import AuditServicer
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
from services.customer_svc.jobs.notes import forget_deleted
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
from services.customer_svc.peers.timeline import entries_from
from services.customer_svc.rpc.attachment_service import AttachmentServicer
from services.customer_svc.rpc.contact_data_service import ContactDataServicer
from services.customer_svc.rpc.convert_groups import reader_of
from services.customer_svc.rpc.customer_group_service import CustomerGroupServicer
from services.customer_svc.rpc.customer_service import CustomerServicer
from services.customer_svc.rpc.export_service import ExportServicer
from services.customer_svc.rpc.import_service import CustomerImportServicer
from services.customer_svc.rpc.key_mark_service import KeyMarkServicer
from services.customer_svc.rpc.long_work import operations_of
from services.customer_svc.rpc.merge_service import MergeServicer
from services.customer_svc.rpc.note_service import NoteServicer
from services.customer_svc.rpc.permissions import ALLOWED
from services.customer_svc.rpc.personal_data_service import PersonalDataServicer
from services.customer_svc.rpc.relation_service import RelationServicer
from services.customer_svc.rpc.tag_service import TagServicer
from services.customer_svc.rpc.timeline_service import TimelineServicer
from services.customer_svc.settings import Settings
from services.customer_svc.store import MIGRATIONS, facts
from services.customer_svc.store.imports import bulk_tables
from services.customer_svc.usecases.run_merges import Peers

APPLICATION = "customer_svc"
CUSTOMER_SERVICE = "banyan.customer.v1.CustomerService"
CUSTOMER_GROUP_SERVICE = "banyan.customer.v1.CustomerGroupService"
EXPORT_SERVICE = "banyan.customer.v1.ExportService"
IMPORT_SERVICE = "banyan.customer.v1.ImportService"
OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name
_PAGE = (OWNERSHIP_SERVICE, CONTACT_SERVICE, TASK_SERVICE, ALERT_SERVICE)
_MERGES = (ASSIGNMENT_MERGE_SERVICE, CAMPAIGN_MERGE_SERVICE)
NEEDS = (ORG_SERVICE, CONTACT_ROOM_SERVICE, *_PAGE, *_MERGES, *PERSONAL_DATA)


async def main(settings: Settings) -> None:
    """Serves until the process is told to stop."""
    keys, data_keys, secret = KeyRing(settings.keys), DataKeys(settings.data_keys), paging.secret(settings.keys)
    revocations = Revocations()
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    await check_keys(database, data_keys)
    wakeups = Wakeups(settings.valkey_url or None)
    net = await mesh(settings, APPLICATION, NEEDS, Signer(keys, APPLICATION))
    operations = operations_of(database, data_keys, settings.currency, _personal_data_peers(net))
    ownership, org = follow_ownership(database, net, wakeups), follow_org(database, net, wakeups)
    following = (ownership, org, follow_contact_rooms(database, net, wakeups))
    customers = CustomerServicer(
        database,
        Publisher(database, facts.FEED, facts.read_page, wakeups),
        owners_when_lagging(net.channel(OWNERSHIP_SERVICE), lambda: ownership.lag_seconds),
        secret,
        settings.currency,
        data_keys,
        parts_from(_sources(net)),
    )
    served = [
        Served(CUSTOMER_SERVICE, customer_service_pb2_grpc.add_CustomerServiceServicer_to_server, customers),
        *_file_services(database, operations, settings, data_keys),
        *_page_services(net, database, data_keys, settings),
        *_tag_services(database, wakeups, secret),
        _merge_service(net, database, operations, secret),
        *_privacy_services(database, operations, secret, data_keys),
        _import_service(database, data_keys, wakeups),
    ]
    app = App(
        application=APPLICATION,
        error_domain="customer.banyan",
        services=served,
        allowed=ALLOWED,
        verifier=Verifier(keys, revocations.is_revoked),
        jobs=[
            *(_led(net, one.name, one.run) for one in following),
            *(one.observe for one in following),
            partial(watch_revocations, database, revocations),
            operations.work,
            *_tag_jobs(net, database, wakeups),
            *_merge_jobs(net, database, wakeups),
            *_upkeep_jobs(net, database, data_keys, settings.currency),
            _led(net, "personal_data", partial(keep_promises, database, _personal_data_peers(net), wakeups)),
        ],
        # Nobody is turned away for what is known of contacts: without campaign_svc it is only older.
        not_ready=lambda: next((reason for one in (ownership, org) if (reason := one.not_ready())), None),
        close=[net.close, wakeups.close, database.close],
    )
    await serve(settings, app, net.registry)


def _upkeep_jobs(net: Mesh, database: Database, data_keys: DataKeys, currency: str) -> list[Job]:
    """The first two in every instance, the others in one at a time."""
    return [
        partial(keep_partitions, database),
        partial(seal_minutes, database),
        _led(net, "sealing", partial(keep_sealed, database, data_keys)),
        _led(net, "groups", partial(build_nightly, database, reader_of(currency, data_keys))),
        _led(net, "notes", partial(forget_deleted, database)),
        _led(net, "clear", partial(clear_away, database)),
    ]


def _import_service(database: Database, keys: DataKeys, wakeups: Wakeups) -> Served:
    imports = CustomerImportServicer(BulkImport(database, bulk_tables(keys)), wakeups)
    return Served(IMPORT_SERVICE, import_service_pb2_grpc.add_ImportServiceServicer_to_server, imports)


def _file_services(database: Database, operations: Operations, settings: Settings, keys: DataKeys) -> list[Served]:
    """What long work makes: groups and exports, and the operations themselves."""
    secret, currency = paging.secret(settings.keys), settings.currency
    return [
        Served(
            CUSTOMER_GROUP_SERVICE,
            customer_group_service_pb2_grpc.add_CustomerGroupServiceServicer_to_server,
            CustomerGroupServicer(database, operations, secret, currency),
        ),
        Served(
            EXPORT_SERVICE,
            export_service_pb2_grpc.add_ExportServiceServicer_to_server,
            ExportServicer(database, operations, secret, currency, keys),
        ),
        Served(
            OPERATION_SERVICE,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationServicer(operations, secret),
        ),
    ]


def _personal_data_peers(net: Mesh) -> PersonalDataPeers:
    return PersonalDataPeers({name: net.channel(name) for name in PERSONAL_DATA})


def _privacy_services(database: Database, operations: Operations, secret: bytes, data_keys: DataKeys) -> list[Served]:
    return [
        Served(
            "banyan.customer.v1.ContactDataService",
            contact_data_service_pb2_grpc.add_ContactDataServiceServicer_to_server,
            ContactDataServicer(database, data_keys),
        ),
        Served(
            "banyan.customer.v1.PersonalDataService",
            personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server,
            PersonalDataServicer(database, operations, secret, data_keys),
        ),
        Served(
            "banyan.customer.v1.AuditService",
            audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
            AuditServicer(database, operations, audit_service_pb2, secret),
        ),
    ]


def _led(net: Mesh, name: str, job: Job) -> Job:
    """A job that runs in one instance at a time."""
    return partial(Leader(net.zookeeper, f"{APPLICATION}/{name}").while_leading, job)


def _sources(net: Mesh) -> Sources:
    return Sources(*map(net.channel, _PAGE))


def _page_services(net: Mesh, database: Database, keys: DataKeys, settings: Settings) -> list[Served]:
    """What stands beside a customer's page."""
    secret = paging.secret(settings.keys)
    notes, files = NoteServicer(database, secret), AttachmentServicer(database, secret)
    relations = RelationServicer(database, secret, keys)
    timeline = TimelineServicer(database, entries_from(_sources(net)), secret, settings.currency)
    added = {
        "NoteService": (note_service_pb2_grpc.add_NoteServiceServicer_to_server, notes),
        "AttachmentService": (attachment_service_pb2_grpc.add_AttachmentServiceServicer_to_server, files),
        "RelationService": (relation_service_pb2_grpc.add_RelationServiceServicer_to_server, relations),
        "TimelineService": (timeline_service_pb2_grpc.add_TimelineServiceServicer_to_server, timeline),
    }
    return [Served(f"banyan.customer.v1.{name}", *how) for name, how in added.items()]


def _tag_services(database: Database, wakeups: Wakeups, secret: bytes) -> list[Served]:
    return [
        Served(
            "banyan.customer.v1.TagService",
            tag_service_pb2_grpc.add_TagServiceServicer_to_server,
            TagServicer(database, secret),
        ),
        Served(
            "banyan.customer.v1.KeyMarkService",
            key_mark_service_pb2_grpc.add_KeyMarkServiceServicer_to_server,
            KeyMarkServicer(database, wakeups, secret),
        ),
    ]


def _tag_jobs(net: Mesh, database: Database, wakeups: Wakeups) -> list[Job]:
    """Each in one instance at a time."""
    ending = partial(reconcile_always, database, net.channel(OWNERSHIP_SERVICE))
    return [_led(net, "expiry", partial(expire_always, database, wakeups)), _led(net, "private_managers", ending)]


def _merge_peers(net: Mesh) -> MergePeers:
    return MergePeers(*map(net.channel, _MERGES))


def _merge_service(net: Mesh, database: Database, operations: Operations, secret: bytes) -> Served:
    servicer = MergeServicer(database, operations, _merge_peers(net), secret)
    return Served(
        "banyan.customer.v1.MergeService", merge_service_pb2_grpc.add_MergeServiceServicer_to_server, servicer
    )


def _merge_jobs(net: Mesh, database: Database, wakeups: Wakeups) -> list[Job]:
    """Each in one instance at a time."""
    asked = _merge_peers(net)
    peers = Peers(asked.merge_ownership, asked.undo_ownership, asked.merge_contacts, asked.undo_contacts)
    return [
        _led(net, "merges", partial(run_always, database, peers, wakeups)),
        _led(net, "duplicates", partial(find_nightly, database)),
    ]


def migrate_and_seal(settings: Settings) -> None:
    """Brings the database to its schema, and seals what stands in clear since before there were data keys."""
    telemetry.log_through_stdlib()
    data_keys = DataKeys(settings.data_keys)
    data_keys.check()
    migrate(settings.database_url, MIGRATIONS, settings.database_password, partial(_seal, settings, data_keys))


async def _seal(settings: Settings, data_keys: DataKeys) -> None:
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    try:
        await seal_plain(database, data_keys)
        await check_keys(database, data_keys)
    finally:
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
