"""The servicer of BankHolidayService."""

from datetime import date

from banyan.assignment.v1 import bank_holiday_pb2, bank_holiday_service_pb2_grpc
from banyan.assignment.v1 import bank_holiday_service_pb2 as pb
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import not_found
from chassis.once import Write, once
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.rpc.convert_requests import holiday_to_wire
from services.assignment_svc.store.holidays import BankHoliday
from services.assignment_svc.usecases import bank_holidays


class BankHolidayServicer(bank_holiday_service_pb2_grpc.BankHolidayServiceServicer):
    def __init__(self, database: Database, paging_secret: bytes) -> None:
        self._database = database
        self._paging_secret = paging_secret

    async def GetBankHoliday(
        self, request: pb.GetBankHolidayRequest, _context: Context
    ) -> bank_holiday_pb2.BankHoliday:
        day = names.parse_one("bankHolidays", request.name)
        try:
            asked = date.fromisoformat(day)
        except ValueError:
            raise not_found() from None
        async with self._database.read() as conn:
            return holiday_to_wire(await bank_holidays.get(conn, asked))

    async def ListBankHolidays(
        self, request: pb.ListBankHolidaysRequest, _context: Context
    ) -> pb.ListBankHolidaysResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        after = date.fromisoformat(str(key[0])) if key else None
        async with self._database.read() as conn:
            found = await bank_holidays.page(conn, request.year, after, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode([found[size - 1].day.isoformat()], request, self._paging_secret)
        return pb.ListBankHolidaysResponse(bank_holidays=map(holiday_to_wire, found[:size]), next_page_token=token)

    async def SetBankHolidays(
        self, request: pb.SetBankHolidaysRequest, _context: Context
    ) -> pb.SetBankHolidaysResponse:
        caller = current_caller()
        days = [
            BankHoliday(
                wire.date_from_wire(one.day_date, f"bank_holidays[{place}].day_date"),
                one.working,
                one.display_name.strip(),
            )
            for place, one in enumerate(request.bank_holidays)
        ]

        async def work(tx: AsyncConnection) -> pb.SetBankHolidaysResponse:
            kept = await bank_holidays.replace_year(tx, caller, current_request_id(), request.year, days)
            return pb.SetBankHolidaysResponse(bank_holidays=map(holiday_to_wire, kept))

        return await once(self._database, Write("SetBankHolidays", request), pb.SetBankHolidaysResponse, work)
