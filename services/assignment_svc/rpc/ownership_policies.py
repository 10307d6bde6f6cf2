"""The servicer of OwnershipPolicyService, and the long work that it starts."""

from datetime import UTC, datetime
from typing import Any

from banyan.assignment.v1 import ownership_policy_pb2, ownership_policy_service_pb2_grpc
from banyan.assignment.v1 import ownership_policy_service_pb2 as pb
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import names, paging, wire
from chassis.caller import current_caller, current_request_id
from chassis.errors import not_found
from chassis.once import Write, once
from chassis.operations import Operations, Run
from chassis.sql.engine import Database
from chassis.streams import Context
from services.assignment_svc.domain.reasons import checked_reason
from services.assignment_svc.rpc import convert_policies as convert
from services.assignment_svc.store import policies as store
from services.assignment_svc.usecases import policies, policy_trials
from services.assignment_svc.usecases.explain_ownership import explain_ownership
from services.assignment_svc.usecases.policies import Proposal
from services.assignment_svc.usecases.policy_trials import Asked
from services.assignment_svc.usecases.read_ownership import Reader

TRY = "TryOwnershipPolicy"
_VERSION_MAX = 2**31 - 1
_LAST_TIME = datetime.max.replace(tzinfo=UTC)
# The wheel ships no types for it.
operations: Any = operations_pb2


class OwnershipPolicyServicer(ownership_policy_service_pb2_grpc.OwnershipPolicyServiceServicer):
    def __init__(self, database: Database, long_work: Operations, paging_secret: bytes, currency: str) -> None:
        self._database = database
        self._long_work = long_work
        self._paging_secret = paging_secret
        self._currency = currency

    async def CreateOwnershipPolicy(
        self, request: pb.CreateOwnershipPolicyRequest, _context: Context
    ) -> ownership_policy_pb2.OwnershipPolicy:
        sent, actor = request.ownership_policy, current_caller().staff_id
        parameters = convert.parameters_from_wire(sent.parameters)
        policies.check_parameters(parameters, "ownership_policy.parameters")
        start_date = wire.date_from_wire(sent.start_date, "ownership_policy.start_date")
        proposal = Proposal(parameters, start_date, checked_reason(sent.reason, "ownership_policy.reason"))

        async def work(tx: AsyncConnection) -> ownership_policy_pb2.OwnershipPolicy:
            return convert.policy_to_wire(await policies.propose(tx, proposal, actor))

        write = Write("CreateOwnershipPolicy", request)
        return await once(self._database, write, ownership_policy_pb2.OwnershipPolicy, work)

    async def ApproveOwnershipPolicy(
        self, request: pb.ApproveOwnershipPolicyRequest, _context: Context
    ) -> pb.ApproveOwnershipPolicyResponse:
        version, actor = _version(request.name), current_caller().staff_id

        async def work(tx: AsyncConnection) -> pb.ApproveOwnershipPolicyResponse:
            approved = convert.policy_to_wire(await policies.approve(tx, version, actor))
            return pb.ApproveOwnershipPolicyResponse(ownership_policy=approved)

        write = Write("ApproveOwnershipPolicy", request)
        return await once(self._database, write, pb.ApproveOwnershipPolicyResponse, work)

    async def WithdrawOwnershipPolicy(
        self, request: pb.WithdrawOwnershipPolicyRequest, _context: Context
    ) -> pb.WithdrawOwnershipPolicyResponse:
        version, actor = _version(request.name), current_caller().staff_id
        reason = checked_reason(request.reason)

        async def work(tx: AsyncConnection) -> pb.WithdrawOwnershipPolicyResponse:
            withdrawn = convert.policy_to_wire(await policies.withdraw(tx, version, actor, reason))
            return pb.WithdrawOwnershipPolicyResponse(ownership_policy=withdrawn)

        write = Write("WithdrawOwnershipPolicy", request)
        return await once(self._database, write, pb.WithdrawOwnershipPolicyResponse, work)

    async def GetOwnershipPolicy(
        self, request: pb.GetOwnershipPolicyRequest, _context: Context
    ) -> ownership_policy_pb2.OwnershipPolicy:
        version = _version(request.name)
        async with self._database.read() as conn:
            return convert.policy_to_wire(await policies.get(conn, version))

    async def ListOwnershipPolicies(
        self, request: pb.ListOwnershipPoliciesRequest, _context: Context
    ) -> pb.ListOwnershipPoliciesResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        async with self._database.read() as conn:
            found = await store.page(conn, int(key[0] or 0) if key else _VERSION_MAX, size + 1)
        token = ""
        if len(found) > size:
            token = paging.encode([found[size - 1].policy.version], request, self._paging_secret)
        shown = map(convert.policy_to_wire, found[:size])
        return pb.ListOwnershipPoliciesResponse(ownership_policies=shown, next_page_token=token)

    async def TryOwnershipPolicy(self, request: pb.TryOwnershipPolicyRequest, _context: Context) -> Message:
        policies.check_parameters(convert.parameters_from_wire(request.parameters), "parameters")
        actor = current_caller().staff_id

        async def work(tx: AsyncConnection) -> Message:
            await policy_trials.check_ready(tx)
            return await self._long_work.start(tx, TRY, request, actor, request.request_id)

        return await once(self._database, Write(TRY, request), operations.Operation, work)

    async def GetPolicyTrial(
        self, request: pb.GetPolicyTrialRequest, _context: Context
    ) -> ownership_policy_pb2.PolicyTrial:
        trial_id = names.parse_one(convert.TRIALS, request.name)
        async with self._database.read() as conn:
            return convert.counted_to_wire(await policy_trials.get_trial(conn, trial_id, current_caller()))

    async def ListPolicyTrials(
        self, request: pb.ListPolicyTrialsRequest, _context: Context
    ) -> pb.ListPolicyTrialsResponse:
        size = paging.page_size(request.page_size)
        key = paging.decode(request.page_token, request, self._paging_secret)
        before = (datetime.fromisoformat(str(key[0])), str(key[1])) if key else (_LAST_TIME, "")
        async with self._database.read() as conn:
            found = await policy_trials.list_trials(conn, before, size + 1, current_caller())
        token = ""
        if len(found) > size:
            last = found[size - 1]
            place = [last.create_time.astimezone(UTC).isoformat(), last.trial_id]
            token = paging.encode(place, request, self._paging_secret)
        shown = map(convert.trial_to_wire, found[:size])
        return pb.ListPolicyTrialsResponse(policy_trials=shown, next_page_token=token)

    async def ListPolicyTrialChanges(
        self, request: pb.ListPolicyTrialChangesRequest, _context: Context
    ) -> pb.ListPolicyTrialChangesResponse:
        size = paging.page_size(request.page_size)
        trial_id = names.parse_one(convert.TRIALS, request.parent, "parent")
        key = paging.decode(request.page_token, request, self._paging_secret)
        place = (str(key[0]), str(key[1]), size) if key else ("", "", size)
        async with self._database.read() as conn:
            reader = _reader("ListPolicyTrialChanges")
            changes, last = await policy_trials.list_changes(conn, trial_id, reader, place, self._currency)
        return pb.ListPolicyTrialChangesResponse(
            policy_trial_changes=map(convert.change_to_wire, changes),
            next_page_token=paging.encode(list(last), request, self._paging_secret) if last else "",
        )

    async def ExplainOwnership(
        self, request: pb.ExplainOwnershipRequest, _context: Context
    ) -> pb.ExplainOwnershipResponse:
        (customer_id,) = names.parse("customers/*/ownership", request.name)
        async with self._database.read() as conn:
            explained = await explain_ownership(conn, customer_id, _reader("ExplainOwnership"), self._currency)
        return pb.ExplainOwnershipResponse(
            owner_explanations=[convert.explanation_to_wire(owner, words) for owner, words in explained.rows],
            chinese=explained.whole.chinese,
            english=explained.whole.english,
        )


class Trying:
    """The handler of the operation: makes one trial and tells how far it is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, run: Run) -> ownership_policy_pb2.PolicyTrial:
        request = run.request
        assert isinstance(request, pb.TryOwnershipPolicyRequest)

        async def tell(day: Any, done: int, total: int) -> bool:  # noqa: ANN401 -- a date
            business_date = wire.date_to_wire(day)
            await run.progress(
                pb.TryOwnershipPolicyMetadata(business_date=business_date, done_count=done, total_count=total)
            )
            return not run.cancelled()

        asked = Asked(run.operation_id, convert.parameters_from_wire(request.parameters), run.caller_id)
        counted = await policy_trials.try_policy(self._database, asked, tell)
        return convert.counted_to_wire(counted) if counted else ownership_policy_pb2.PolicyTrial()


def _version(name: str) -> int:
    text = names.parse_one(convert.POLICIES, name)
    if not (text.isascii() and text.isdigit() and int(text) <= _VERSION_MAX):
        raise not_found()
    return int(text)


def _reader(method: str) -> Reader:
    return Reader(current_caller(), current_request_id(), method)
