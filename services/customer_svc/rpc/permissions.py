"""Who may call what of customer_svc. Which customers he then sees is decided per customer (domain.md 3)."""

from collections.abc import Mapping
from types import MappingProxyType

from chassis.caller import ANY_ROLE, Role

_SERVICES = frozenset({Role.SERVICE})
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
_COUNTING = _BY_NAME | {Role.MARKETER, Role.ANALYST}
# Whoever finds customers other than as one of the branch's other staff, or counts them (domain/groups.py).
_GROUPING = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER, Role.MARKETER, Role.ANALYST})
_EXPORTING = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER})
# Look after customers.
_CARING = frozenset({Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER})

ALLOWED: Mapping[str, frozenset[Role]] = MappingProxyType(
    {
        "/banyan.customer.v1.CustomerService/GetCustomer": _BY_NAME,
        "/banyan.customer.v1.CustomerService/SearchCustomers": _BY_NAME,
        "/banyan.customer.v1.CustomerService/CountCustomers": _COUNTING,
        "/banyan.customer.v1.CustomerService/FacetCustomers": _COUNTING,
        "/banyan.customer.v1.CustomerService/ExplainQuery": _COUNTING,
        "/banyan.customer.v1.CustomerService/WatchCustomerFactChanges": _SERVICES,
        "/banyan.customer.v1.CustomerGroupService/CreateCustomerGroup": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/GetCustomerGroup": _COUNTING,
        "/banyan.customer.v1.CustomerGroupService/ListCustomerGroups": _COUNTING,
        "/banyan.customer.v1.CustomerGroupService/UpdateCustomerGroup": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/DeleteCustomerGroup": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/UndeleteCustomerGroup": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/BuildCustomerGroup": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/FreezeCustomerGroup": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/AddMembers": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/RemoveMembers": _GROUPING,
        "/banyan.customer.v1.CustomerGroupService/StreamGroup": _GROUPING | _SERVICES,
        "/banyan.customer.v1.ExportService/ExportCustomers": _EXPORTING,
        "/banyan.customer.v1.ExportService/GetExport": _EXPORTING,
        "/banyan.customer.v1.ExportService/ListExports": _EXPORTING,
        "/banyan.customer.v1.ExportService/DownloadExport": _EXPORTING,
        "/banyan.customer.v1.ExportService/DeleteExport": _EXPORTING,
        "/banyan.customer.v1.ContactDataService/UnmaskContactData": frozenset(
            {Role.BRANCH_HEAD, Role.MANAGER, Role.PRIVATE_MANAGER}
        ),
        "/banyan.customer.v1.PersonalDataService/ExportPersonalData": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.PersonalDataService/GetPersonalDataExport": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.PersonalDataService/DownloadPersonalData": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.PersonalDataService/EraseCustomer": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.PersonalDataService/GetErasure": frozenset({Role.BRANCH_HEAD, Role.APPROVER}),
        "/banyan.customer.v1.PersonalDataService/ListErasures": frozenset({Role.BRANCH_HEAD, Role.APPROVER}),
        "/banyan.customer.v1.PersonalDataService/ApproveErasure": frozenset({Role.APPROVER}),
        "/banyan.customer.v1.PersonalDataService/RefuseErasure": frozenset({Role.APPROVER}),
        "/banyan.customer.v1.PersonalDataService/CancelErasure": frozenset({Role.BRANCH_HEAD, Role.APPROVER}),
        "/banyan.customer.v1.AuditService/ListAuditEntries": frozenset({Role.AUDITOR}),
        "/banyan.customer.v1.AuditService/VerifyAudit": frozenset({Role.AUDITOR}),
        "/banyan.customer.v1.ImportService/ImportRows": _SERVICES,
        "/banyan.customer.v1.TagService/GetTag": ANY_ROLE,
        "/banyan.customer.v1.TagService/ListTags": ANY_ROLE,
        "/banyan.customer.v1.TagService/CreateTag": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.TagService/RetireTag": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.TagService/GetCustomerTag": _BY_NAME,
        "/banyan.customer.v1.TagService/ListCustomerTags": _BY_NAME,
        "/banyan.customer.v1.TagService/BatchGetPotentialTags": _SERVICES,
        "/banyan.customer.v1.TagService/SetCustomerTag": _CARING | _SERVICES,
        "/banyan.customer.v1.TagService/RemoveCustomerTag": _CARING | _SERVICES,
        "/banyan.customer.v1.TagService/ClearTagOverride": _CARING | _SERVICES,
        "/banyan.customer.v1.TagService/ListTagChanges": _BY_NAME,
        "/banyan.customer.v1.KeyMarkService/GetKeyMark": _BY_NAME,
        "/banyan.customer.v1.KeyMarkService/ListKeyMarkChanges": _BY_NAME,
        "/banyan.customer.v1.KeyMarkService/CreateKeyMarkProposal": _CARING,
        "/banyan.customer.v1.KeyMarkService/GetKeyMarkProposal": _BY_NAME,
        "/banyan.customer.v1.KeyMarkService/ListKeyMarkProposals": _BY_NAME,
        "/banyan.customer.v1.KeyMarkService/ListKeyMarkApprovals": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.KeyMarkService/ApproveKeyMarkProposal": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.KeyMarkService/RefuseKeyMarkProposal": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.KeyMarkService/WithdrawKeyMarkProposal": _CARING,
        "/banyan.customer.v1.KeyMarkService/EndKeyMarkProposal": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.MergeService/GetDuplicate": _CARING,
        "/banyan.customer.v1.MergeService/ListDuplicates": _CARING,
        "/banyan.customer.v1.MergeService/DismissDuplicate": _CARING,
        "/banyan.customer.v1.MergeService/ReopenDuplicate": _CARING,
        "/banyan.customer.v1.MergeService/ProposeMerge": _CARING,
        "/banyan.customer.v1.MergeService/GetMerge": _CARING,
        "/banyan.customer.v1.MergeService/ListMerges": _CARING,
        "/banyan.customer.v1.MergeService/CancelMerge": _CARING,
        "/banyan.customer.v1.MergeService/ApproveMerge": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.MergeService/RejectMerge": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.MergeService/UndoMerge": frozenset({Role.BRANCH_HEAD}),
        "/banyan.customer.v1.MergeService/FindDuplicates": frozenset({Role.BRANCH_HEAD, Role.ADMIN, Role.SERVICE}),
        "/banyan.customer.v1.MergeService/ListMergedCustomers": _SERVICES,
        "/banyan.customer.v1.NoteService/CreateNote": _CARING,
        "/banyan.customer.v1.NoteService/GetNote": _BY_NAME,
        "/banyan.customer.v1.NoteService/ListNotes": _BY_NAME,
        "/banyan.customer.v1.NoteService/UpdateNote": _CARING,
        "/banyan.customer.v1.NoteService/DeleteNote": _CARING,
        "/banyan.customer.v1.NoteService/UndeleteNote": _CARING,
        "/banyan.customer.v1.AttachmentService/CreateAttachment": _CARING,
        "/banyan.customer.v1.AttachmentService/GetAttachment": _BY_NAME,
        "/banyan.customer.v1.AttachmentService/ListAttachments": _BY_NAME,
        "/banyan.customer.v1.AttachmentService/DeleteAttachment": _CARING,
        "/banyan.customer.v1.AttachmentService/UndeleteAttachment": _CARING,
        "/banyan.customer.v1.RelationService/CreateRelation": _CARING,
        "/banyan.customer.v1.RelationService/GetRelation": _BY_NAME,
        "/banyan.customer.v1.RelationService/ListRelations": _BY_NAME,
        "/banyan.customer.v1.RelationService/EndRelation": _CARING,
        "/banyan.customer.v1.TimelineService/ListTimelineEntries": _BY_NAME,
        "/banyan.customer.v1.TimelineService/GetBalanceSeries": _BY_NAME,
        "/banyan.customer.v1.OperationService/GetOperation": ANY_ROLE,
        "/banyan.customer.v1.OperationService/ListOperations": ANY_ROLE,
        "/banyan.customer.v1.OperationService/CancelOperation": ANY_ROLE,
        "/banyan.customer.v1.OperationService/WaitOperation": ANY_ROLE,
    }
)
