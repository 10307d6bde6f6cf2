"""All that the bank keeps of one person, for him to see (domain.md 12): one JSON file, by service and by table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.customer_svc.domain.contact_data import ContactData

# Rows as JSON texts, by table.
Rows = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class PersonalExport:
    """A file as it is stored."""

    customer_id: str
    export_id: str
    requester_id: str
    reference: str
    size_bytes: int
    create_time: datetime
    expire_time: datetime

    @property
    def file_name(self) -> str:
        """What to call the file."""
        return f"personal-data-{self.export_id.partition('-')[0]}.json"


def file_of(export: PersonalExport, contact_data: Mapping[str, ContactData], parts: Mapping[str, Rows]) -> bytes:
    """The file; blocks for as long as it takes to write it."""
    told = {
        "customer": export.customer_id,
        "reference": export.reference,
        "create_time": export.create_time.isoformat(),
        "contact_data": {
            customer_id: {"id_number": data.id_number, "mobile": data.mobile}
            for customer_id, data in contact_data.items()
        },
        "services": {
            service: {table: [json.loads(row) for row in rows] for table, rows in tables.items()}
            for service, tables in parts.items()
        },
    }
    return json.dumps(told, ensure_ascii=False, indent=1).encode()
