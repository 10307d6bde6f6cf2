"""Who owns a customer, who works where, and who is signed in.

Owns branches, staff with their roles, sessions, facts by (customer, branch), ownership with its history, holds.
Serves banyan.assignment.v1: SessionService, OrgService, OwnershipService, ImportService, OperationService.
Publishes the feeds `ownership` and `org`. Follows nobody: facts come in bulk from the nightly batch.
"""
