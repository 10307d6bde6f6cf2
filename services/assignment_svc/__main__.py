"""Builds assignment_svc by hand and serves it; `migrate` brings its database to its schema instead."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from banyan.assignment.v1 import (
    acting_manager_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    merge_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    org_service_pb2_grpc,
    ownership_change_service_pb2_grpc,
    ownership_policy_service_pb2_grpc,
    ownership_service_pb2_grpc,
    personal_data_service_pb2,
    personal_data_service_pb2_grpc,
    session_service_pb2_grpc,
)

from chassis import paging
from chassis.audit_servicer import VERIFY, AuditServicer, Verifying
from chassis.cache import Cache
from chassis.channel import mesh
from chassis.feed import Publisher, Wakeups
from chassis.import_servicer import ImportServicer
from chassis.jobs import Job
from chassis.leader import Leader
from chassis.operations import Operations, OperationServicer
from chassis.personal_data_servicer import PersonalDataServicer
from chassis.server import App, Served, run, serve
from chassis.sql.audit import seal_minutes
from chassis.sql.engine import Database
from chassis.sql.migrations import migrate
from chassis.tokens import KeyRing, Revocations, Signer, Verifier
from services.assignment_svc.domain.oidc import Issuer
from services.assignment_svc.jobs.allocate_changed import allocate_changed
from services.assignment_svc.jobs.escalations import watch_deadlines
from services.assignment_svc.jobs.housekeeping import keep_house
from services.assignment_svc.jobs.org_plans import apply_plans
from services.assignment_svc.jobs.sessions import watch_revocations
from services.assignment_svc.jobs.visits import keep_visits
from services.assignment_svc.peers.customers import CUSTOMER_SERVICE, FindCustomer, customer_found
from services.assignment_svc.peers.key_marks import KEY_MARK_SERVICE, IsKeyCustomer, key_customer_asked
from services.assignment_svc.peers.oidc import IssuerKeys
from services.assignment_svc.peers.potential_tags import TAG_SERVICE, potential_tags_asked
from services.assignment_svc.peers.tasks import TASK_SERVICE, OpenTask, open_task_asked
from services.assignment_svc.rpc.acting_managers import ActingManagerServicer
from services.assignment_svc.rpc.mass_changes import mass_services, mass_work
from services.assignment_svc.rpc.merge_service import MergeServicer
from services.assignment_svc.rpc.org_changes import OrgChanges
from services.assignment_svc.rpc.org_service import OrgServicer
from services.assignment_svc.rpc.ownership_change_service import OwnershipChangeServicer
from services.assignment_svc.rpc.ownership_policies import TRY, OwnershipPolicyServicer, Trying
from services.assignment_svc.rpc.ownership_service import ALLOCATE, Allocating, OwnershipServicer
from services.assignment_svc.rpc.permissions import ALLOWED
from services.assignment_svc.rpc.private_managers import PrivateManagers
from services.assignment_svc.rpc.request_services import request_services
from services.assignment_svc.rpc.score_services import score_services, score_work
from services.assignment_svc.rpc.session_service import SessionServicer
from services.assignment_svc.rpc.staff_services import staff_services
from services.assignment_svc.rpc.visit_services import visit_services
from services.assignment_svc.settings import Settings
from services.assignment_svc.store import MIGRATIONS, org, ownership_feed, ownerships
from services.assignment_svc.store.personal_data import TABLES, end_ownership
from services.assignment_svc.store.throttle import Throttle
from services.assignment_svc.usecases.claims import TagsOf
from services.assignment_svc.usecases.import_rows import FeedImport
from services.assignment_svc.usecases.oidc import OidcSignIn
from services.assignment_svc.usecases.passwords import change_password
from services.assignment_svc.usecases.sessions import Sessions

APPLICATION = "assignment_svc"
NEEDS = (KEY_MARK_SERVICE, TAG_SERVICE, CUSTOMER_SERVICE, TASK_SERVICE)
# Its generated servicer uses only foreign messages and does not import it: the descriptor must be known all the same.
OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"].full_name


@dataclass(frozen=True)
class Peers:
    """What other services are asked."""

    is_key_customer: IsKeyCustomer
    potential_tags: TagsOf
    find_customer: FindCustomer
    open_task: OpenTask


class Parts:
    """What the process is made of."""

    def __init__(self, settings: Settings) -> None:
        self.keys = KeyRing(settings.keys)
        self.signer = Signer(self.keys, APPLICATION)
        self.revocations = Revocations()
        self.database = Database(settings.database_url, settings.database_password, APPLICATION)
        self.wakeups = Wakeups(settings.valkey_url or None)
        long_work = {
            ALLOCATE: Allocating(self.database, self.wakeups),
            TRY: Trying(self.database),
            **mass_work(self.database, self.wakeups),
            VERIFY: Verifying(self.database, audit_service_pb2),
            **score_work(self.database),
        }
        self.operations = Operations(self.database, "assignment", long_work)
        self.paging_secret = paging.secret(settings.keys)
        self.cache = Cache(settings.valkey_url or None)
        self.currency = settings.currency
        self.oidc = oidc_of(settings, self.database)

    async def revoke(self, session_id: str, expire_time: datetime) -> None:
        """Refuses an ended session's tokens: here at once, elsewhere as soon as the org feed tells it."""
        self.revocations.add(session_id, expire_time)
        await self.wakeups.notify(org.FEED)

    def served(self, peers: Peers) -> list[Served]:
        """The services, each with its servicer."""
        org_changes = Publisher(self.database, org.FEED, org.read_page, self.wakeups)
        changes = Publisher(self.database, ownerships.FEED, ownership_feed.read_page, self.wakeups)
        sessions = Sessions(self.database, Throttle(self.cache), self.revoke)
        private_managers = PrivateManagers(self.database, self.wakeups, peers.is_key_customer)
        return [
            *self.visits_served(),
            self.policies_served(),
            self.changes_served(peers),
            *self.mass_changes_served(),
            *self.requests_served(peers),
            *self.scores_served(),
            *self.sign_in_served(sessions),
            Served(
                "banyan.assignment.v1.OrgService",
                org_service_pb2_grpc.add_OrgServiceServicer_to_server,
                OrgServicer(self.database, org_changes, OrgChanges(self.database, self.wakeups), self.paging_secret),
            ),
            Served(
                "banyan.assignment.v1.OwnershipService",
                ownership_service_pb2_grpc.add_OwnershipServiceServicer_to_server,
                OwnershipServicer(self.database, changes, self.operations, private_managers, self.paging_secret),
            ),
            Served(
                "banyan.assignment.v1.ActingManagerService",
                acting_manager_service_pb2_grpc.add_ActingManagerServiceServicer_to_server,
                ActingManagerServicer(self.database, self.wakeups, self.paging_secret),
            ),
            *self.data_served(),
        ]

    def data_served(self) -> list[Served]:
        """The services of what is kept: taken in, made one, told, erased and audited."""
        told = partial(self.wakeups.notify, ownerships.FEED)
        return [
            Served(
                "banyan.assignment.v1.MergeService",
                merge_service_pb2_grpc.add_MergeServiceServicer_to_server,
                MergeServicer(self.database, self.wakeups),
            ),
            Served(
                "banyan.assignment.v1.PersonalDataService",
                personal_data_service_pb2_grpc.add_PersonalDataServiceServicer_to_server,
                PersonalDataServicer(self.database, TABLES, personal_data_service_pb2, end_ownership, told),
            ),
            Served(
                "banyan.assignment.v1.ImportService",
                import_service_pb2_grpc.add_ImportServiceServicer_to_server,
                ImportServicer(FeedImport(self.database, self.wakeups), import_service_pb2.ImportRowsResponse),
            ),
            Served(
                "banyan.assignment.v1.AuditService",
                audit_service_pb2_grpc.add_AuditServiceServicer_to_server,
                AuditServicer(self.database, self.operations, audit_service_pb2, self.paging_secret),
            ),
            Served(
                OPERATION_SERVICE,
                operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
                OperationServicer(self.operations, self.paging_secret),
            ),
        ]

    def sign_in_served(self, sessions: Sessions) -> list[Served]:
        """The services of how staff sign in, and when they are away."""
        added = staff_services(self.database, sessions, self.wakeups, self.paging_secret)
        change = partial(change_password, self.database, sessions, self.wakeups)
        return [
            Served(
                "banyan.assignment.v1.SessionService",
                session_service_pb2_grpc.add_SessionServiceServicer_to_server,
                SessionServicer(sessions, self.signer, self.keys, change, self.oidc),
            ),
            *_named(added, "StaffAccountService", "LeaveService"),
        ]

    def changes_served(self, peers: Peers) -> Served:
        """The service of changes by hand."""
        return Served(
            "banyan.assignment.v1.OwnershipChangeService",
            ownership_change_service_pb2_grpc.add_OwnershipChangeServiceServicer_to_server,
            OwnershipChangeServicer(self.database, self.wakeups, peers.potential_tags, self.paging_secret),
        )

    def mass_changes_served(self) -> list[Served]:
        """The services that change many customers at once."""
        added = mass_services(self.database, self.operations, self.paging_secret)
        return _named(added, "BranchChangeService", "BulkTransferService")

    def requests_served(self, peers: Peers) -> list[Served]:
        """The services of requests."""
        asked = peers.find_customer, peers.open_task
        added = request_services(self.database, self.wakeups, self.paging_secret, *asked)
        return _named(added, "OwnershipRequestService", "DelegationService", "BankHolidayService")

    def scores_served(self) -> list[Served]:
        """The services of score cards."""
        added = score_services(self.database, self.operations, self.paging_secret)
        return _named(added, "ScoreCardService", "CreditService", "TargetService")

    def policies_served(self) -> Served:
        """The service of the rules of allocation."""
        return Served(
            "banyan.assignment.v1.OwnershipPolicyService",
            ownership_policy_service_pb2_grpc.add_OwnershipPolicyServiceServicer_to_server,
            OwnershipPolicyServicer(self.database, self.operations, self.paging_secret, self.currency),
        )

    def visits_served(self) -> list[Served]:
        """The services of visits and of what is due of them."""
        return _named(visit_services(self.database, self.paging_secret), "VisitService", "VisitDutyService")

    def jobs(self) -> list[Job]:
        """What runs as long as the process."""
        return [
            partial(watch_revocations, self.database, self.revocations, self.wakeups),
            partial(keep_house, self.database),
            partial(allocate_changed, self.database, self.wakeups),
            partial(apply_plans, self.database, self.wakeups),
            partial(keep_visits, self.database),
            partial(seal_minutes, self.database),
            self.operations.work,
        ]

    async def close(self) -> None:
        await self.cache.close()
        await self.wakeups.close()
        await self.database.close()


def oidc_of(settings: Settings, database: Database) -> OidcSignIn | None:
    """How staff sign in by the bank's OIDC issuer, if there is one."""
    if not settings.oidc_issuer:
        return None
    claims = settings.oidc_login_claim, settings.oidc_roles_claim
    issuer = Issuer(settings.oidc_issuer, settings.oidc_audience, *claims)
    return OidcSignIn(database, issuer, IssuerKeys(settings.oidc_jwks, settings.oidc_ca).claims)


def _named(added: Mapping[str, tuple[Callable[..., None], object]], *names: str) -> list[Served]:
    """Services that are built together, by their names: what is not named is not served."""
    return [Served(f"banyan.assignment.v1.{name}", *added[name]) for name in names]


def app_of(parts: Parts, peers: Peers) -> App:
    """The application that the parts make."""
    return App(
        application=APPLICATION,
        error_domain="assignment.banyan",
        services=parts.served(peers),
        allowed=ALLOWED,
        verifier=Verifier(parts.keys, parts.revocations.is_revoked),
        jobs=parts.jobs(),
        close=[parts.close],
    )


async def main(settings: Settings) -> None:
    """Serves until the process is told to stop."""
    parts = Parts(settings)
    net = await mesh(settings, APPLICATION, NEEDS, parts.signer)
    peers = Peers(
        key_customer_asked(net.channel(KEY_MARK_SERVICE)),
        potential_tags_asked(net.channel(TAG_SERVICE)),
        customer_found(net.channel(CUSTOMER_SERVICE)),
        open_task_asked(net.channel(TASK_SERVICE)),
    )
    app = app_of(parts, peers)
    leader = Leader(net.zookeeper, f"{APPLICATION}/escalations")
    led = partial(leader.while_leading, partial(watch_deadlines, parts.database, parts.wakeups))
    await serve(settings, replace(app, jobs=[*app.jobs, led], close=[net.close, *app.close]), net.registry)


if __name__ == "__main__":
    read = Settings()  # pyright: ignore[reportCallIssue]  # the environment fills it
    if sys.argv[1:] == ["migrate"]:
        migrate(read.database_url, MIGRATIONS, read.database_password)
    else:
        run(main(read))
