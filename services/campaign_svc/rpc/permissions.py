"""Who may call what of campaign_svc. Of whom he then sees contacts is decided per customer."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import ANY_ROLE, Role

_OWNERS = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER, Role.SERVICE})
_SERVICES = frozenset({Role.SERVICE})

ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "/banyan.campaign.v1.ContactService/RecordContact": _OWNERS,
        "/banyan.campaign.v1.ContactService/GetContact": _OWNERS,
        "/banyan.campaign.v1.ContactService/ListContacts": _OWNERS,
        "/banyan.campaign.v1.ContactRoomService/GetContactRoom": _OWNERS,
        "/banyan.campaign.v1.ContactRoomService/GetContactPolicy": ANY_ROLE,
        "/banyan.campaign.v1.ContactRoomService/ListContactPolicies": ANY_ROLE,
        "/banyan.campaign.v1.ContactRoomService/WatchContactRoomChanges": _SERVICES,
        "/banyan.campaign.v1.MergeService/MergeContacts": frozenset({Role.SERVICE}),
        "/banyan.campaign.v1.MergeService/UndoMergeContacts": frozenset({Role.SERVICE}),
        "/banyan.campaign.v1.PersonalDataService/ReadPersonalData": _SERVICES,
        "/banyan.campaign.v1.PersonalDataService/ErasePersonalData": _SERVICES,
        "/banyan.campaign.v1.PersonalDataService/SuppressContacts": _SERVICES,
        "/banyan.campaign.v1.ProductService/GetProduct": ANY_ROLE,
        "/banyan.campaign.v1.ProductService/ListProducts": ANY_ROLE,
        "/banyan.campaign.v1.TaskService/CreateTask": _OWNERS,
        "/banyan.campaign.v1.TaskService/GetTask": _OWNERS,
        "/banyan.campaign.v1.TaskService/ListTasks": _OWNERS,
        "/banyan.campaign.v1.TaskService/CompleteTask": _OWNERS,
        "/banyan.campaign.v1.ImportService/ImportRows": _SERVICES,
        "/banyan.campaign.v1.AuditService/ListAuditEntries": frozenset({Role.AUDITOR}),
        "/banyan.campaign.v1.AuditService/VerifyAudit": frozenset({Role.AUDITOR}),
        "/banyan.campaign.v1.OperationService/GetOperation": ANY_ROLE,
        "/banyan.campaign.v1.OperationService/ListOperations": ANY_ROLE,
        "/banyan.campaign.v1.OperationService/CancelOperation": ANY_ROLE,
        "/banyan.campaign.v1.OperationService/WaitOperation": ANY_ROLE,
    }
)
