"""Tells managers what happened to their customers' money (domain.md 7).

Owns transactions as core banking tells them, the rules, and the alerts that both make.
Serves AlertService, TransactionService and OperationService of banyan.alert.v1.
Publishes nothing yet.
Follows ownership and organisation (assignment_svc) and customer facts (customer_svc).
"""
