"""Tells staff about customers, to each what he may see (domain.md 3).

Owns customers, their relations, accounts, loans, cards, holdings and sums by branch, and the audit of who read them.
Serves CustomerService, ImportService and OperationService of banyan.customer.v1.
Publishes customer facts (WatchCustomerFactChanges).
Follows ownership and organisation (assignment_svc).
"""
