"""Keeps what is sold and every contact with a customer (domain.md 8): the one ledger that all channels go through.

Owns products and the ledger of contacts.
Serves ProductService, ContactService, ImportService and OperationService of banyan.campaign.v1.
Publishes nothing yet.
Follows ownership and organisation (assignment_svc) and customer facts (customer_svc).
"""
