"""Builds alert_svc by hand and serves it; `migrate` brings its database to its schema instead."""

import sys
from functools import partial
from pathlib import Path

from banyan.alert.v1 import (
    alert_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    personal_data_service_pb2,
    personal_data_service_pb2_grpc,
    transaction_service_pb2_grpc,
)

from chassis import paging
from chassis.audit_servicer import VERIFY, AuditServicer, Verifying
from chassis.channel import mesh
from chassis.feed import Wakeups
from chassis.leader import Leader
from chassis.operations import Operations, OperationServicer
from chassis.personal_data_servicer import PersonalDataServicer
from chassis.server import App, Served, run, serve
from chassis.sql.audit import seal_minutes
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.tokens import KeyRing, Revocations, Signer, Verifier
from services.alert_svc.jobs.follow import followers, watch_revocations
from services.alert_svc.jobs.partitions import keep_partitions
from services.alert_svc.peers import assignment, customers
from services.alert_svc.rpc.alert_service import AlertServicer
from services.alert_svc.rpc.permissions import ALLOWED
from services.alert_svc.rpc.transaction_service import TransactionServicer
from services.alert_svc.settings import Settings
from services.alert_svc.store.personal_data import TABLES

APPLICATION = "alert_svc"
OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name
NEEDS = (assignment.OWNERSHIP_SERVICE, assignment.ORG_SERVICE, customers.CUSTOMER_SERVICE)
MIGRATIONS = Path(__file__).parent / "store" / "migrations"


async def main(settings: Settings) -> None:
    keys = KeyRing(settings.keys)
    revocations = Revocations()
    database = Database(settings.database_url, settings.database_password, APPLICATION)
    wakeups = Wakeups(settings.valkey_url or None)
    operations = Operations(database, "alert", {VERIFY: Verifying(database, audit_service_pb2)})
    net = await mesh(settings, APPLICATION, NEEDS, Signer(keys, APPLICATION))
    following = followers(database, net, wakeups)
    app = App(
        application=APPLICATION,
        error_domain="alert.banyan",
        services=_services(settings, database, operations, wakeups),
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
        not_ready=lambda: next((reason for one in following if (reason := one.not_ready())), None),
        close=[net.close, wakeups.close, database.close],
    )
    await serve(settings, app, net.registry)


def _services(settings: Settings, database: Database, operations: Operations, wakeups: Wakeups) -> list[Served]:
    secret = paging.secret(settings.keys)
    return [
        Served(
            "banyan.alert.v1.AlertService",
            alert_service_pb2_grpc.add_AlertServiceServicer_to_server,
            AlertServicer(database, wakeups, secret, settings.currency),
        ),
        Served(
            "banyan.alert.v1.TransactionService",
            transaction_service_pb2_grpc.add_TransactionServiceServicer_to_server,
            TransactionServicer(database, wakeups),
        ),
        Served(
            "banyan.alert.v1.PersonalDataService",
            personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server,
            PersonalDataServicer(database, TABLES, personal_data_service_pb2),
        ),
        Served(
            "banyan.alert.v1.AuditService",
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
