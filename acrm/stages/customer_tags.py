"""Which tags the rules confirm, and why."""

import json
from collections.abc import Mapping
from datetime import date
from functools import reduce
from typing import cast

import ibis
from ibis import _
from ibis.expr import types as ir

from acrm.parameters import Parameters
from acrm.stages.expressions import day, yes
from acrm.stages.tag_rules import Tag, tags


def customer_tags(inputs: ir.Table, business_date: date, parameters: Parameters) -> ir.Table:
    """A row for each customer and tag confirmed; `inputs` are tag_inputs, and are read once for each tag."""
    return ibis.union(*(_tagged(inputs, tag, business_date, parameters) for tag in tags(business_date, parameters)))


def _tagged(inputs: ir.Table, tag: Tag, business_date: date, parameters: Parameters) -> ir.Table:
    holds = {f"because_{name}": yes(reason) for name, reason in tag.reasons.items()}
    judged = inputs.filter(yes(tag.fits)).mutate(**holds)
    confirmed = judged.filter(reduce(lambda one, other: one | other, (_[name] for name in holds)))
    figures = {name: f"figure_{name}" for name in tag.figures}
    told = confirmed.mutate(**{figures[name]: value for name, value in tag.figures.items()})
    return told.select(
        "customer_id",
        tag_code=ibis.literal(tag.code),
        rule_version=ibis.literal(parameters.rule_version),
        as_of_date=day(business_date),
        evidence=_evidence(told, tag, figures),
    )


def _evidence(told: ir.Table, tag: Tag, figures: Mapping[str, str]) -> ir.StringValue:
    """A JSON object. Nothing in it needs escaping: names are ours, values are numbers, dates and truths."""
    reasons = [cast("ir.StringValue", ibis.ifelse(told[f"because_{name}"], f'"{name}",', "")) for name in tag.reasons]
    listed = reduce(lambda one, other: one + other, reasons)
    shown = [_text(f'"{name}":') + _json(told[column]) for name, column in figures.items()]
    compared = reduce(lambda one, other: one + "," + other, shown)
    thresholds = json.dumps(dict(tag.thresholds), separators=(",", ":"))
    without_comma = listed.left(cast("ir.IntegerValue", listed.length() - 1))
    return _text('{"because":[') + without_comma + '],"figures":{' + compared + f'}},"thresholds":{thresholds}}}'


def _json(value: ir.Value) -> ir.StringValue:
    quote = '"' if value.type().is_date() else ""
    return cast("ir.StringValue", ibis.coalesce(_text(quote) + value.cast("string") + quote, "null"))


def _text(value: str) -> ir.StringValue:
    return cast("ir.StringValue", ibis.literal(value))
