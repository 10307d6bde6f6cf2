"""Who owns a customer, who works where, and who is signed in.

Owns branches, staff with their roles, sessions, facts by (customer, branch), ownership with its history, holds.
Serves banyan.assignment.v1: SessionService, OrgService, OwnershipService, ImportService, OperationService.
Keeps requests to change owners with their approvals, delegates and the bank's calendar: OwnershipRequestService,
DelegationService, BankHolidayService. Asks customer_svc who is meant by a pull, campaign_svc for open tasks.
Keeps visits and what is due of them, credit, targets and score cards: VisitService, VisitDutyService, CreditService,
TargetService, ScoreCardService.
Publishes the feeds `ownership` and `org`. Follows nobody: facts come in bulk from the nightly batch.
"""
