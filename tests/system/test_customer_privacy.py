"""What leaves the screen, through the gateway: files, contact data in clear, and what the auditor finds of both."""

import csv
import io
import uuid
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.system.conftest import Banyan

MONEY = {"currencyCode": "CNY", "units": "1000"}
QUERY = {
    "conditions": [{"deposit": {"scope": "SCOPE_OWN", "balanceMin": MONEY}}, {"identity": {"sex": "SEX_MALE"}}],
    "order": {"field": "FIELD_DISPLAY_NAME"},
}
COLUMNS = [
    "customer",
    "display_name",
    "mobile",
    "id_number",
    "view_level",
    "own.deposit_balance",
    "total.deposit_balance",
    "tier",
]


@pytest.fixture(scope="module")
def head(demo_bank: Banyan) -> str:
    return demo_bank.sign_in("head-B0002")


@pytest.fixture(scope="module")
def auditor(demo_bank: Banyan) -> str:
    return demo_bank.sign_in("auditor")


@pytest.fixture(scope="module")
def shown(demo_bank: Banyan, head: str) -> list[dict[str, Any]]:
    """What a search shows of those who are exported."""
    answer = demo_bank.post("/v1/customers:search", head, **QUERY, pageSize=500)
    assert not answer.json["nextPageToken"]
    return answer.json["customers"]


def exported(bank: Banyan, token: str, form: str, **order: Any) -> tuple[dict[str, Any], bytes]:
    """An export and its file."""
    body = {"query": QUERY, "columns": COLUMNS, "format": form, "purpose": "六月回访", **order}
    export = bank.finished("/v1/customers:export", token, **body)
    file = bank.get(f"/v1/{export['name']}:download", token)
    assert file.status == 200
    assert file.headers["content-disposition"] == f'attachment; filename="{export["fileName"]}"'
    return export, file.content


def test_a_csv_file_holds_what_a_search_shows(demo_bank: Banyan, head: str, shown: list[dict[str, Any]]) -> None:
    export, content = exported(demo_bank, head, "FORMAT_CSV")
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert len(rows) == len(shown) == int(export["rowCount"]) > 50
    assert [f"customers/{row['customer']}" for row in rows] == [one["name"] for one in shown]
    levels = set[str]()
    for row, one in zip(rows, shown, strict=True):
        levels.add(row["view_level"])
        assert row["display_name"] == one["displayName"]
        assert row["mobile"] == one["mobile"]
        assert row["id_number"] == one["idNumber"]
        secondary = one["viewLevel"] == "VIEW_LEVEL_SECONDARY"
        assert (row["tier"] == "") == (row["total.deposit_balance"] == "") == secondary
        assert row["own.deposit_balance"]
        assert export["creator"].removeprefix("staff/") in row["exported_by"]
        assert export["name"].removeprefix("exports/") in row["exported_by"]
    assert levels == {"PRIMARY", "SECONDARY"}


def test_a_parquet_file_holds_the_same_and_its_watermark_twice(
    demo_bank: Banyan, head: str, shown: list[dict[str, Any]]
) -> None:
    export, content = exported(demo_bank, head, "FORMAT_PARQUET")
    table = pq.read_table(io.BytesIO(content))
    assert table.column_names == [*COLUMNS, "exported_by"]
    assert [f"customers/{customer}" for customer in table["customer"].to_pylist()] == [one["name"] for one in shown]
    assert {f"VIEW_LEVEL_{level}" for level in table["view_level"].to_pylist()} == {one["viewLevel"] for one in shown}
    assert table["mobile"].to_pylist() == [one["mobile"] or None for one in shown]
    marks = set(table["exported_by"].to_pylist())
    assert len(marks) == 1
    assert (marks.pop() or "").encode() in b"".join((table.schema.metadata or {}).values())
    assert int(export["sizeBytes"]) == len(content)


def test_a_file_is_for_its_maker_only_and_goes_when_he_says_so(demo_bank: Banyan, head: str, auditor: str) -> None:
    export, _ = exported(demo_bank, head, "FORMAT_CSV")
    path = f"/v1/{export['name']}"
    for other in ("head-HQ", "head-B0001"):
        assert demo_bank.get(f"{path}:download", demo_bank.sign_in(other)).status == 404
    assert demo_bank.get(f"{path}:download", auditor).status == 403
    assert demo_bank.call("DELETE", path, token=head).status == 200
    assert demo_bank.get(f"{path}:download", head).status == 404


def test_an_unknown_column_and_a_role_without_names_are_refused(demo_bank: Banyan, head: str) -> None:
    order = {"query": QUERY, "format": "FORMAT_CSV", "purpose": "六月回访"}
    unknown = demo_bank.post(
        "/v1/customers:export", head, **order, columns=["customer", "shoe_size"], requestId=str(uuid.uuid4())
    )
    assert unknown.status == 400
    assert "COLUMNS_UNKNOWN" in unknown.text
    assert "shoe_size" in unknown.text
    for nobody in ("analyst", "marketer", "teller-B0001", "auditor"):
        token = demo_bank.sign_in(nobody)
        refused = demo_bank.post(
            "/v1/customers:export", token, **order, columns=["customer"], requestId=str(uuid.uuid4())
        )
        assert refused.status == 403


def test_contact_data_is_shown_in_clear_for_a_purpose_and_the_auditor_finds_who_and_why(
    demo_bank: Banyan, head: str, auditor: str, shown: list[dict[str, Any]]
) -> None:
    masked = next(one for one in shown if one["viewLevel"] == "VIEW_LEVEL_SECONDARY" and one["mobile"])
    path = f"/v1/{masked['name']}:unmaskContactData"
    clear = demo_bank.done(path, head, purpose="UNMASK_PURPOSE_CALLBACK", reason="客户要求回电")
    assert clear["remainingCount"] < 50
    assert "*" not in clear["mobile"] + clear["idNumber"]
    assert clear["mobile"][-4:] == masked["mobile"][-4:]
    assert demo_bank.post(path, head, reason="x", requestId=str(uuid.uuid4())).status == 400, "a purpose is needed"
    stranger = demo_bank.sign_in("analyst")
    body = {"purpose": "UNMASK_PURPOSE_CALLBACK", "requestId": str(uuid.uuid4())}
    assert demo_bank.post(path, stranger, **body).status == 403

    entries = "/v1/customer/auditEntries"
    without = demo_bank.get(entries, auditor, customer=masked["name"])
    assert without.status == 403
    assert "CASE_NUMBER_MISSING" in without.text
    found = list(demo_bank.pages(entries, "auditEntries", auditor, customer=masked["name"], caseNumber="2026-017"))
    unmasked = [entry for entry in found if entry["method"] == "UnmaskContactData"]
    assert unmasked[0]["details"] == {"purpose": "CALLBACK", "reason": "客户要求回电"}
    assert unmasked[0]["branch"] == "branches/B0002"
    assert {"SearchCustomers", "ExportCustomers"} <= {entry["method"] for entry in found}
    # Who looked into the audit, and with which case, stands in it too.
    again = list(demo_bank.pages(entries, "auditEntries", auditor, customer=masked["name"], caseNumber="2026-018"))
    assert any("2026-017" in str(entry["details"]) for entry in again)
    assert demo_bank.get(entries, head).status == 403


def test_a_person_gets_all_that_is_kept_of_him_and_hears_what_law_keeps(
    demo_bank: Banyan, head: str, shown: list[dict[str, Any]]
) -> None:
    customer = next(one for one in shown if one["viewLevel"] == "VIEW_LEVEL_PRIMARY" and one["mobile"])
    path = f"/v1/{customer['name']}"
    export = demo_bank.finished(f"{path}:exportPersonalData", head, reference="来信 2026-11")
    file = demo_bank.get(f"/v1/{export['name']}:download", head)
    assert file.headers["content-type"].startswith("application/json")
    services = file.json["services"]
    assert set(services) == {"customer_svc", "assignment_svc", "campaign_svc", "alert_svc"}
    assert services["customer_svc"]["accounts"]
    assert services["assignment_svc"]["owner"]
    assert file.json["contact_data"][customer["name"].removeprefix("customers/")]["mobile"] == customer["mobile"]
    assert demo_bank.get(f"/v1/{export['name']}:download", demo_bank.sign_in("head-HQ")).status == 404

    erasure = demo_bank.done(f"{path}:erase", head, reference="来信 2026-11", validateOnly=True)["erasure"]
    verdicts = {verdict["part"]: verdict for verdict in erasure["verdicts"]}
    assert verdicts["ERASURE_PART_MARKETING"]["erased"]
    assert verdicts["ERASURE_PART_RECORDS"]["obstacles"] == ["ERASURE_OBSTACLE_LIVE_BUSINESS"]
    assert demo_bank.get(path, head).status == 200, "a dry run erases nothing"


@pytest.mark.parametrize("package", ["alert", "assignment", "campaign", "customer"])
def test_every_service_tells_auditors_and_has_no_broken_seal(demo_bank: Banyan, auditor: str, package: str) -> None:
    entries = f"/v1/{package}/auditEntries"
    assert demo_bank.get(entries, demo_bank.sign_in("head-HQ")).status == 403
    assert "CASE_NUMBER_MISSING" in demo_bank.get(entries, auditor, customer="customers/1").text
    assert demo_bank.get(entries, auditor, caseNumber="2026-019").status == 200
    first = demo_bank.get(f"{entries}?method=ListAuditEntries&pageSize=1", auditor).json["auditEntries"][0]
    assert first["details"] == {"case_number": "2026-019"}
    # A young bank may have none yet: entries are sealed a minute after they were made.
    assert demo_bank.finished(f"{entries}:verify", auditor)["brokenSeals"] == []
