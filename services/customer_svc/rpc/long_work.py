"""The long work of customer_svc, by the method that starts it."""

from banyan.customer.v1 import audit_service_pb2

from chassis.audit_servicer import VERIFY, Verifying
from chassis.data_keys import DataKeys
from chassis.operations import Operations
from chassis.sql.engine import Database
from services.customer_svc.peers.personal_data import PersonalDataPeers
from services.customer_svc.rpc.customer_group_service import BUILD, Building
from services.customer_svc.rpc.export_service import Exporting
from services.customer_svc.rpc.merge_service import FIND, Finding
from services.customer_svc.rpc.personal_data_service import ExportingPersonalData
from services.customer_svc.usecases.export_customers import METHOD as EXPORT
from services.customer_svc.usecases.export_personal_data import METHOD as EXPORT_PERSONAL_DATA


def operations_of(database: Database, keys: DataKeys, currency: str, peers: PersonalDataPeers) -> Operations:
    """All operations of this service, with who does their work."""
    return Operations(
        database,
        "customer",
        {
            BUILD: Building(database, keys, currency),
            EXPORT: Exporting(database, keys, currency),
            EXPORT_PERSONAL_DATA: ExportingPersonalData(database, keys, peers),
            FIND: Finding(database),
            VERIFY: Verifying(database, audit_service_pb2),
        },
    )
