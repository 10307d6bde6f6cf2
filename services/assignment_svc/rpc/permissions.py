"""Who may call what of assignment_svc. Which customers he then sees is decided per customer (domain.md 3)."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import ANY_ROLE, ANY_STAFF, PUBLIC, Role
from services.assignment_svc.rpc.score_permissions import SCORES_ALLOWED

_SERVICES = frozenset({Role.SERVICE})
# Start long work on everybody's behalf.
_OPERATORS = frozenset({Role.SERVICE, Role.ADMIN})
# Propose, approve and try policies of allocation.
_POLICY_MAKERS = frozenset({Role.ADMIN, Role.APPROVER})
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
# Whoever may manage customers.
_MANAGERS = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER})
# Who look after customers of their own.
_CARERS = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER})

_ADMINS = frozenset({Role.ADMIN})
_LOG_READERS = frozenset({Role.ADMIN, Role.AUDITOR})
_PLAN_READERS = _LOG_READERS | {Role.BRANCH_HEAD}

# Heads answer requests, and whomever of their branch they name in their place.
_ANSWERING = _BY_NAME - _SERVICES

ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        **SCORES_ALLOWED,
        "/banyan.assignment.v1.SessionService/CreateSession": PUBLIC,
        "/banyan.assignment.v1.SessionService/CreateOidcSession": PUBLIC,
        "/banyan.assignment.v1.SessionService/ChangePassword": PUBLIC,
        "/banyan.assignment.v1.SessionService/RefreshSession": PUBLIC,
        "/banyan.assignment.v1.SessionService/GetJwks": PUBLIC,
        "/banyan.assignment.v1.SessionService/GetSession": ANY_STAFF,
        "/banyan.assignment.v1.SessionService/DeleteSession": ANY_STAFF,
        "/banyan.assignment.v1.OrgService/GetBranch": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/ListBranches": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/GetStaff": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/ListStaff": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/WatchOrgChanges": _SERVICES,
        "/banyan.assignment.v1.OrgService/GetBranchTree": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/ListBranchPeriods": ANY_ROLE,
        "/banyan.assignment.v1.OrgService/CreateBranch": _ADMINS,
        "/banyan.assignment.v1.OrgService/UpdateBranch": _ADMINS,
        "/banyan.assignment.v1.OrgService/CloseBranch": _ADMINS,
        "/banyan.assignment.v1.OrgService/CreateStaff": _ADMINS,
        "/banyan.assignment.v1.OrgService/UpdateStaff": _ADMINS,
        "/banyan.assignment.v1.OrgService/DeactivateStaff": _ADMINS,
        "/banyan.assignment.v1.OrgService/BatchUpdateStaff": _ADMINS,
        "/banyan.assignment.v1.OrgService/GetPlannedOrgChange": _PLAN_READERS,
        "/banyan.assignment.v1.OrgService/ListPlannedOrgChanges": _PLAN_READERS,
        "/banyan.assignment.v1.OrgService/WithdrawPlannedOrgChange": _ADMINS,
        "/banyan.assignment.v1.OrgService/GetOrgChangeEntry": _LOG_READERS,
        "/banyan.assignment.v1.OrgService/ListOrgChangeEntries": _LOG_READERS,
        "/banyan.assignment.v1.LeaveService/CreateLeave": ANY_STAFF,
        "/banyan.assignment.v1.LeaveService/GetLeave": ANY_STAFF,
        "/banyan.assignment.v1.LeaveService/ListLeaves": ANY_STAFF,
        "/banyan.assignment.v1.LeaveService/ApproveLeave": ANY_STAFF,
        "/banyan.assignment.v1.LeaveService/CancelLeave": ANY_STAFF,
        "/banyan.assignment.v1.StaffAccountService/SetPassword": _ADMINS,
        "/banyan.assignment.v1.StaffAccountService/ResetPassword": _ADMINS,
        "/banyan.assignment.v1.StaffAccountService/CreateOidcMapping": _ADMINS,
        "/banyan.assignment.v1.StaffAccountService/GetOidcMapping": _LOG_READERS,
        "/banyan.assignment.v1.StaffAccountService/ListOidcMappings": _LOG_READERS,
        "/banyan.assignment.v1.StaffAccountService/DeleteOidcMapping": _ADMINS,
        "/banyan.assignment.v1.StaffAccountService/DeclareStaffRelation": ANY_STAFF,
        "/banyan.assignment.v1.StaffAccountService/GetStaffRelation": ANY_STAFF,
        "/banyan.assignment.v1.StaffAccountService/ListStaffRelations": ANY_STAFF,
        "/banyan.assignment.v1.StaffAccountService/WithdrawStaffRelation": _ADMINS,
        "/banyan.assignment.v1.OwnershipService/GetOwnership": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/ListOwnerships": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/ListOwnershipPeriods": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/AllocateOwnerships": _OPERATORS,
        "/banyan.assignment.v1.OwnershipService/AssignPrivateManager": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.OwnershipService/RemovePrivateManager": frozenset({Role.BRANCH_HEAD, Role.SERVICE}),
        "/banyan.assignment.v1.OwnershipService/ListPrivateManagerPeriods": _BY_NAME,
        "/banyan.assignment.v1.OwnershipService/WatchOwnershipChanges": _SERVICES,
        "/banyan.assignment.v1.ActingManagerService/CreateActingManager": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.ActingManagerService/ListActingManagers": ANY_ROLE,
        "/banyan.assignment.v1.ActingManagerService/EndActingManager": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.OwnershipPolicyService/CreateOwnershipPolicy": _POLICY_MAKERS,
        "/banyan.assignment.v1.OwnershipPolicyService/ApproveOwnershipPolicy": _POLICY_MAKERS,
        "/banyan.assignment.v1.OwnershipPolicyService/WithdrawOwnershipPolicy": _POLICY_MAKERS,
        "/banyan.assignment.v1.OwnershipPolicyService/GetOwnershipPolicy": ANY_ROLE,
        "/banyan.assignment.v1.OwnershipPolicyService/ListOwnershipPolicies": ANY_ROLE,
        "/banyan.assignment.v1.OwnershipPolicyService/TryOwnershipPolicy": _POLICY_MAKERS,
        "/banyan.assignment.v1.OwnershipPolicyService/GetPolicyTrial": _POLICY_MAKERS | {Role.BRANCH_HEAD},
        "/banyan.assignment.v1.OwnershipPolicyService/ListPolicyTrials": _POLICY_MAKERS | {Role.BRANCH_HEAD},
        "/banyan.assignment.v1.OwnershipPolicyService/ListPolicyTrialChanges": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.OwnershipPolicyService/ExplainOwnership": _BY_NAME,
        "/banyan.assignment.v1.OwnershipChangeService/AssignManager": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.OwnershipChangeService/ClaimCustomer": _MANAGERS,
        "/banyan.assignment.v1.OwnershipChangeService/ReleaseCustomer": _MANAGERS,
        "/banyan.assignment.v1.OwnershipChangeService/ListClaimableCustomers": _MANAGERS,
        "/banyan.assignment.v1.OwnershipChangeService/GetManualChange": _BY_NAME,
        "/banyan.assignment.v1.OwnershipChangeService/ListManualChanges": _BY_NAME,
        "/banyan.assignment.v1.OwnershipChangeService/UndoManualChange": _MANAGERS,
        "/banyan.assignment.v1.OwnershipChangeService/ListManagerLoads": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.VisitService/CreateVisit": _CARERS,
        "/banyan.assignment.v1.VisitService/GetVisit": _BY_NAME,
        "/banyan.assignment.v1.VisitService/ListVisits": _BY_NAME,
        "/banyan.assignment.v1.VisitService/ListVisitVersions": _CARERS,
        "/banyan.assignment.v1.VisitService/CorrectVisit": _CARERS,
        "/banyan.assignment.v1.VisitService/WithdrawVisit": _CARERS,
        "/banyan.assignment.v1.VisitDutyService/ListDueVisits": _CARERS,
        "/banyan.assignment.v1.VisitDutyService/ListVisitSummaries": _CARERS,
        "/banyan.assignment.v1.VisitDutyService/CreateVisitPolicy": frozenset({Role.ADMIN, Role.APPROVER}),
        "/banyan.assignment.v1.VisitDutyService/GetVisitPolicy": ANY_ROLE,
        "/banyan.assignment.v1.VisitDutyService/ListVisitPolicies": ANY_ROLE,
        "/banyan.assignment.v1.OwnershipRequestService/CreateOwnershipRequest": _MANAGERS,
        "/banyan.assignment.v1.OwnershipRequestService/GetOwnershipRequest": _ANSWERING,
        "/banyan.assignment.v1.OwnershipRequestService/ListOwnershipRequests": _ANSWERING,
        "/banyan.assignment.v1.OwnershipRequestService/ApproveOwnershipRequest": _ANSWERING,
        "/banyan.assignment.v1.OwnershipRequestService/RefuseOwnershipRequest": _ANSWERING,
        "/banyan.assignment.v1.OwnershipRequestService/WithdrawOwnershipRequest": _MANAGERS,
        "/banyan.assignment.v1.DelegationService/CreateDelegation": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.DelegationService/GetDelegation": _ANSWERING,
        "/banyan.assignment.v1.DelegationService/ListDelegations": _ANSWERING,
        "/banyan.assignment.v1.DelegationService/EndDelegation": frozenset({Role.BRANCH_HEAD}),
        "/banyan.assignment.v1.BankHolidayService/GetBankHoliday": ANY_ROLE,
        "/banyan.assignment.v1.BankHolidayService/ListBankHolidays": ANY_ROLE,
        "/banyan.assignment.v1.BankHolidayService/SetBankHolidays": frozenset({Role.ADMIN}),
        "/banyan.assignment.v1.BulkTransferService/CreateBulkTransfer": _MANAGERS,
        "/banyan.assignment.v1.BulkTransferService/GetBulkTransfer": _ANSWERING,
        "/banyan.assignment.v1.BulkTransferService/ListBulkTransfers": _MANAGERS,
        "/banyan.assignment.v1.BulkTransferService/ListBulkTransferRequests": _ANSWERING,
        "/banyan.assignment.v1.BulkTransferService/AnswerBulkTransfer": _ANSWERING,
        "/banyan.assignment.v1.BranchChangeService/CreateBranchChange": frozenset({Role.ADMIN}),
        "/banyan.assignment.v1.BranchChangeService/GetBranchChange": frozenset({Role.ADMIN, Role.APPROVER}),
        "/banyan.assignment.v1.BranchChangeService/ListBranchChanges": frozenset({Role.ADMIN, Role.APPROVER}),
        "/banyan.assignment.v1.BranchChangeService/ApplyBranchChange": frozenset({Role.ADMIN, Role.APPROVER}),
        "/banyan.assignment.v1.BranchChangeService/CancelBranchChange": frozenset({Role.ADMIN, Role.APPROVER}),
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
