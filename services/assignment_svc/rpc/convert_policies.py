"""Policies, trials and explanations between the wire and the values of assignment_svc."""

from banyan.assignment.v1 import ownership_policy_pb2 as pb
from banyan.assignment.v1 import ownership_policy_service_pb2 as service_pb

from chassis import names, wire
from services.assignment_svc.domain.ownership import Owner, Policy
from services.assignment_svc.domain.policies import PolicyVersion, in_chinese, in_english
from services.assignment_svc.rpc.convert import owner_to_wire
from services.assignment_svc.store.policies import PARAMETERS
from services.assignment_svc.store.policy_trials import BranchCount, ManagerCount, Trial
from services.assignment_svc.usecases.explain_ownership import Words
from services.assignment_svc.usecases.policy_trials import Counted, ShownChange

POLICIES = "ownershipPolicies"
TRIALS = "policyTrials"


def parameters_from_wire(parameters: pb.AllocationParameters) -> Policy:
    """The parameters, of a version that is not known yet."""
    return Policy(0, *(getattr(parameters, name) for name in PARAMETERS))


def policy_to_wire(version: PolicyVersion) -> pb.OwnershipPolicy:
    return pb.OwnershipPolicy(
        name=names.make(POLICIES, str(version.policy.version)),
        state=f"STATE_{version.state}",
        parameters=_parameters_to_wire(version.policy),
        start_date=wire.date_to_wire(version.start_date),
        reason=version.reason,
        chinese=in_chinese(version.policy, version.start_date),
        english=in_english(version.policy, version.start_date),
        creator=version.creator,
        create_time=wire.time_to_wire(version.create_time),
        approver=names.make("staff", version.approver),
        approve_time=wire.time_to_wire(version.approve_time),
        withdrawer=names.make("staff", version.withdrawer),
        withdraw_time=wire.time_to_wire(version.withdraw_time),
        withdraw_reason=version.withdraw_reason,
    )


def trial_to_wire(trial: Trial) -> pb.PolicyTrial:
    """A trial without its counts by branch and manager."""
    return pb.PolicyTrial(
        name=names.make(TRIALS, trial.trial_id),
        parameters=_parameters_to_wire(trial.policy),
        business_date=wire.date_to_wire(trial.business_date),
        compared_policy=names.make(POLICIES, str(trial.policy.version)),
        creator=names.make("staff", trial.actor),
        create_time=wire.time_to_wire(trial.create_time),
        expire_time=wire.time_to_wire(trial.expire_time),
        customer_count=trial.customer_count,
        changed_customer_count=trial.changed_customer_count,
    )


def counted_to_wire(counted: Counted) -> pb.PolicyTrial:
    trial = trial_to_wire(counted.trial)
    trial.branch_counts.extend(map(_branch_count_to_wire, counted.branches))
    trial.manager_counts.extend(map(_manager_count_to_wire, counted.managers))
    return trial


def change_to_wire(change: ShownChange) -> pb.PolicyTrialChange:
    row = change.row
    return pb.PolicyTrialChange(
        customer=names.make("customers", row.customer_id),
        branch=names.make("branches", row.branch_id),
        before=owner_to_wire(row.before) if row.before else None,
        after=owner_to_wire(row.after) if row.after else None,
        chinese=change.words.chinese,
        english=change.words.english,
    )


def explanation_to_wire(owner: Owner, words: Words) -> service_pb.OwnerExplanation:
    return service_pb.OwnerExplanation(
        branch=names.make("branches", owner.branch_id),
        side=f"SIDE_{owner.side}",
        chinese=words.chinese,
        english=words.english,
    )


def _parameters_to_wire(policy: Policy) -> pb.AllocationParameters:
    return pb.AllocationParameters(**{name: getattr(policy, name) for name in PARAMETERS})


def _branch_count_to_wire(count: BranchCount) -> pb.BranchTrialCount:
    return pb.BranchTrialCount(
        branch=names.make("branches", count.branch_id),
        primary_gained_count=count.primary_gained,
        primary_lost_count=count.primary_lost,
        row_gained_count=count.row_gained,
        row_lost_count=count.row_lost,
        manager_changed_count=count.manager_changed,
        changed_row_count=count.changed_rows,
    )


def _manager_count_to_wire(count: ManagerCount) -> pb.ManagerTrialCount:
    return pb.ManagerTrialCount(
        manager=names.make("staff", count.manager_id),
        branch=names.make("branches", count.branch_id),
        gained_count=count.gained,
        lost_count=count.lost,
    )
