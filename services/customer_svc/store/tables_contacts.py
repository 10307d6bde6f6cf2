"""What is sealed of customers (chassis/data_keys.py), apart from them: it is read to be shown, and for nothing else."""

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from services.customer_svc.store.tables import METADATA

# A row while anything of a customer is sealed; both values of a row are sealed under the same key, and the hashes on
# `customers` are of the same key too.
customer_contacts = Table(
    "customer_contacts",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("id_number_cipher", LargeBinary),
    Column("mobile_cipher", LargeBinary),
    Column("cipher_key_id", BigInteger, nullable=False),
    Column("hash_key_id", BigInteger, nullable=False),
)
