"""The bank's calendar over the wire: replaced year by year, refused with every bad day."""

import uuid
from datetime import date

import grpc
import pytest
from banyan.assignment.v1 import bank_holiday_pb2, bank_holiday_service_pb2_grpc
from banyan.assignment.v1 import bank_holiday_service_pb2 as pb
from google.type.date_pb2 import Date
from sqlalchemy import text

from chassis.caller import Role


def holiday(day: date | Date, name: str = "国庆节", *, working: bool = False) -> bank_holiday_pb2.BankHoliday:
    wire = day if isinstance(day, Date) else Date(year=day.year, month=day.month, day=day.day)
    return bank_holiday_pb2.BankHoliday(day_date=wire, display_name=name, working=working)


class Calendar:
    """Calls as somebody with a role."""

    def __init__(self, service, role: Role) -> None:
        self._stub = bank_holiday_service_pb2_grpc.BankHolidayServiceStub(service.channel)
        self._metadata = service.signed_in.staff(role)

    async def set(self, *days: bank_holiday_pb2.BankHoliday, year: int = 2026):
        request = pb.SetBankHolidaysRequest(year=year, bank_holidays=days, request_id=str(uuid.uuid4()))
        return (await self._stub.SetBankHolidays(request, metadata=self._metadata)).bank_holidays

    async def page(self, year: int = 0, size: int = 0, token: str = ""):
        request = pb.ListBankHolidaysRequest(year=year, page_size=size, page_token=token)
        return await self._stub.ListBankHolidays(request, metadata=self._metadata)

    async def get(self, day: str):
        request = pb.GetBankHolidayRequest(name=f"bankHolidays/{day}")
        return await self._stub.GetBankHoliday(request, metadata=self._metadata)


@pytest.fixture
async def calendar(service):
    async with service.parts.database.begin() as tx:
        await tx.execute(text("DELETE FROM bank_holiday"))
    yield Calendar(service, Role.ADMIN)
    async with service.parts.database.begin() as tx:
        await tx.execute(text("DELETE FROM bank_holiday"))


async def test_a_year_is_replaced_as_a_whole_and_read_by_everybody(service, calendar) -> None:
    await calendar.set(holiday(date(2025, 10, 1)), year=2025)
    kept = await calendar.set(holiday(date(2026, 10, 10), "调休", working=True), holiday(date(2026, 10, 1)))
    assert [(one.name, one.working) for one in kept] == [
        ("bankHolidays/2026-10-01", False),
        ("bankHolidays/2026-10-10", True),
    ]
    everybody = Calendar(service, Role.TELLER)
    assert list((await everybody.page(2026)).bank_holidays) == list(kept)
    first = await everybody.page(size=2)
    rest = await everybody.page(size=2, token=first.next_page_token)
    assert [one.name[13:] for one in (*first.bank_holidays, *rest.bank_holidays)] == [
        "2025-10-01",
        "2026-10-01",
        "2026-10-10",
    ]
    assert (await everybody.get("2026-10-10")).display_name == "调休"
    assert list(await calendar.set()) == []
    assert [one.name for one in (await everybody.page()).bank_holidays] == ["bankHolidays/2025-10-01"]


@pytest.mark.parametrize("day", ["2026-10-02", "tomorrow"])
async def test_a_day_of_which_nothing_is_kept_does_not_exist(calendar, day) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await calendar.get(day)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("days", "year", "words"),
    [
        ([holiday(date(2025, 10, 1))], 2026, "bank_holidays[0].day_date: must be a day of 2026"),
        ([holiday(date(2026, 10, 1))] * 2, 2026, "bank_holidays[0].day_date: must be there once (and 1 more)"),
        ([holiday(date(2026, 10, 1), " ")], 2026, "bank_holidays[0].display_name"),
        ([holiday(date(2026, 10, 1), "x" * 101)], 2026, "bank_holidays[0].display_name"),
        ([holiday(Date(year=2026, month=2, day=30))], 2026, "bank_holidays[0].day_date: must be a day of the calendar"),
        ([], 1969, "year: must be from 1970 to 2200"),
        ([], 2201, "year: must be from 1970 to 2200"),
    ],
)
async def test_a_bad_day_is_refused_by_its_place_and_nothing_is_replaced(calendar, days, year, words) -> None:
    await calendar.set(holiday(date(2026, 1, 1)))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await calendar.set(*days, year=year)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in str(refused.value.details())
    assert len((await calendar.page()).bank_holidays) == 1


async def test_only_administrators_keep_the_calendar(service, calendar) -> None:
    del calendar
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await Calendar(service, Role.BRANCH_HEAD).set()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
