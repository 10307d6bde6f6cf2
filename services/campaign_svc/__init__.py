"""Keeps what is sold and every contact with a customer (domain.md 8): the one ledger that all channels go through.

Owns products, the ledger of contacts, consents, opt-outs, the contact policy and tasks of staff.
Serves ProductService, ContactService, ContactRoomService, TaskService, ImportService and OperationService of
banyan.campaign.v1.
Publishes contact room: what counts against the caps, for whoever asks how much is left.
Follows ownership and organisation (assignment_svc) and customer facts (customer_svc).
"""
