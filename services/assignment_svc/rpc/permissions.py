"""Who may call what of assignment_svc. Which customers he then sees is decided per customer (domain.md 3)."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import ANY_ROLE, ANY_STAFF, PUBLIC, Role

_SERVICES = frozenset({Role.SERVICE})
# Start long work on everybody's behalf.
_OPERATORS = frozenset({Role.SERVICE, Role.ADMIN})
# Everybody to whom some customer could exist.
_BY_NAME = frozenset(
    {
        Role.BRANCH_HEAD,
        Role.MANAGER,
        Role.PRIVATE_MANAGER,
        Role.LOBBY,
        Role.TELLER,
        Role.APPROVER,
        Role.SERVICE,
    }
)

ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "/banyan.assignment.v1.SessionService/CreateSession": PUBLIC,
        "/banyan.assignment.v1.SessionService/RefreshSession": PUBLIC,
        "/banyan.assignment.v1.SessionService/GetJwks": PUBLIC,
        "/banyan.assignment.v1.SessionService/GetSession": ANY_STAFF,
        "/banyan.assignment.v1.SessionService/DeleteSession": ANY_STAFF,
        "/banyan.assignment.v1.OrgService/GetBranch": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/ListBranches": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/GetStaff": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/ListStaff": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/WatchOrgChanges": _SERVICES,
        "/banyan.assignment.v1.OwnershipService/GetOwnership": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/ListOwnerships": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/ListOwnershipPeriods": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/AllocateOwnerships": _OPERATORS,
        "/banyan.assignment.v1.OwnershipService/AssignPrivateManager": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.OwnershipService/RemovePrivateManager": frozenset({Role.BRANCH_HEAD, Role.SERVICE}),
        "/banyan.assignment.v1.OwnershipService/ListPrivateManagerPeriods": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/WatchOwnershipChanges": _SERVICES,
        "/banyan.assignment.v1.MergeService/MergeOwnership": _SERVICES,
        "/banyan.assignment.v1.MergeService/UndoMergeOwnership": _SERVICES,
        "/banyan.assignment.v1.PersonalDataService/ReadPersonalData": _SERVICES,
        "/banyan.assignment.v1.PersonalDataService/ErasePersonalData": _SERVICES,
        "/banyan.assignment.v1.ImportService/ImportRows": _OPERATORS,
        "/banyan.assignment.v1.AuditService/ListAuditEntries": frozenset({Role.AUDITOR}),
        "/banyan.assignment.v1.AuditService/VerifyAudit": frozenset({Role.AUDITOR}),
        "/banyan.assignment.v1.OperationService/GetOperation": ANY_ROLE,
        "/banyan.assignment.v1.OperationService/ListOperations": ANY_ROLE,
        "/banyan.assignment.v1.OperationService/CancelOperation": ANY_ROLE,
        "/banyan.assignment.v1.OperationService/WaitOperation": ANY_ROLE,
    }
)
