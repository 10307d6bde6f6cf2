"""Who may call what of alert_svc. Which alerts he then sees is decided per customer."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import ANY_ROLE, Role

_READERS = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER, Role.SERVICE})

ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "/banyan.alert.v1.AlertService/GetAlert": _READERS,
        "/banyan.alert.v1.AlertService/ListAlerts": _READERS,
        "/banyan.alert.v1.AlertService/WatchAlerts": _READERS,
        "/banyan.alert.v1.TransactionService/IngestTransactions": frozenset({Role.SERVICE}),
        "/banyan.alert.v1.PersonalDataService/ReadPersonalData": frozenset({Role.SERVICE}),
        "/banyan.alert.v1.PersonalDataService/ErasePersonalData": frozenset({Role.SERVICE}),
        "/banyan.alert.v1.AuditService/ListAuditEntries": frozenset({Role.AUDITOR}),
        "/banyan.alert.v1.AuditService/VerifyAudit": frozenset({Role.AUDITOR}),
        "/banyan.alert.v1.OperationService/GetOperation": ANY_ROLE,
        "/banyan.alert.v1.OperationService/ListOperations": ANY_ROLE,
        "/banyan.alert.v1.OperationService/CancelOperation": ANY_ROLE,
        "/banyan.alert.v1.OperationService/WaitOperation": ANY_ROLE,
    }
)
