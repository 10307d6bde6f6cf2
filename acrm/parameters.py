"""What the batch's rules compare with: one frozen value. Whoever changes a number changes the version with it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Parameters:
    """Amounts in minor units; shares in percent; spans in days, calendar months or years as named."""

    rule_version: str
    """Stands in every tag."""

    # Value
    tier_bounds_minor: tuple[int, ...]
    """From how much 30-day average deposits and wealth on a customer is in tier 2, 3 and so on."""
    deposit_margin_basis_points: int
    """What the bank earns in a year on 30-day average deposits, in hundredths of a percent; so the three below."""
    loan_margin_basis_points: int
    card_margin_basis_points: int
    wealth_margin_basis_points: int
    new_days: int
    """So long after the first business a customer is new."""
    dormant_months: int
    """After so long without anything of the customer's own doing he is dormant."""

    # Who is in arrears
    overdue_tolerance_days: int
    clean_years: int
    """So far back no loan may have been overdue beyond the tolerance."""

    # P1 to P6
    adult_years: int
    inflow_minor: int
    kept_percent_max: int
    maturity_days: int
    credits_month_minor: int
    average_month_minor: int
    steady_months: int
    settled_months: int
    unused_percent: int
    payroll_products: tuple[str, ...]
    mobile_bank_products: tuple[str, ...]
    card_age_years_min: int
    card_age_years_max: int
    visits_count: int
    e_channel_categories: tuple[str, ...]
    """An opt-out of one of these categories, or of all, stops the tag of e-channels."""
    idle_minor: int
    idle_days: int
    confirmation_years: int
    """From this age on high-risk products need a confirmation."""
    transfers_out_count: int
    average_drop_percent: int
    mean_months: int

    # Key customers
    key_asset: Literal["DEPOSITS", "AUM"]
    """What is tested: 30-day average deposits, or these and wealth."""
    key_asset_minor: int
    key_loan_minor: int
    key_stay_percent: int
    """A key customer stays one from this share of the threshold on."""


DEFAULTS = Parameters(
    rule_version="1",
    tier_bounds_minor=(10_000_00, 50_000_00, 200_000_00, 500_000_00, 6_000_000_00),
    deposit_margin_basis_points=120,
    loan_margin_basis_points=200,
    card_margin_basis_points=500,
    wealth_margin_basis_points=50,
    new_days=90,
    dormant_months=12,
    overdue_tolerance_days=3,
    clean_years=2,
    adult_years=18,
    inflow_minor=50_000_00,
    kept_percent_max=20,
    maturity_days=30,
    credits_month_minor=3_000_00,
    average_month_minor=10_000_00,
    steady_months=6,
    settled_months=12,
    unused_percent=50,
    payroll_products=("payroll",),
    mobile_bank_products=("mobile_bank",),
    card_age_years_min=20,
    card_age_years_max=60,
    visits_count=3,
    e_channel_categories=("e_channel",),
    idle_minor=50_000_00,
    idle_days=60,
    confirmation_years=65,
    transfers_out_count=5,
    average_drop_percent=40,
    mean_months=3,
    key_asset="DEPOSITS",
    key_asset_minor=500_000_00,
    key_loan_minor=500_000_00,
    key_stay_percent=80,
)
