"""What requests call the ends of a range of a figure, so that a refusal names the field that was sent."""

from services.customer_svc.domain.conditions import Bound, Span
from services.customer_svc.domain.figures import RANGES, SPANS, SUMS, SpanField


def bound_name(kind: str, figure: str) -> tuple[str, int | None]:
    """The name of a range, and for a sum over some days their number: `("inflow", 30)`."""
    for name, ranged in RANGES[kind].items():
        if ranged == figure:
            return name, None
    return next((name, days) for name, by_days in SUMS.items() for days, summed in by_days.items() if summed == figure)


def bound_fields(kind: str, bound: Bound) -> tuple[str, str]:
    """The fields of the lower and of the upper end."""
    name, days = bound_name(kind, bound.figure)
    return (f"{name}_min", f"{name}_max") if days is None else (f"{name}.min", f"{name}.max")


def bound_field(kind: str, bound: Bound) -> str:
    """The first field of a range that is set."""
    low, high = bound_fields(kind, bound)
    return low if bound.low is not None else high


def span_of(kind: str, span: Span) -> SpanField:
    """What requests call a span of this kind."""
    return next(each for each in SPANS[kind] if (each.figure, each.ahead) == (span.figure, span.ahead))


def span_field(kind: str, span: Span) -> str:
    """The first field of a span that is set."""
    named = span_of(kind, span)
    return named.least if span.least is not None and named.least else named.most
