"""Rates scenarios a second time, in fractions, from the printed catalogue alone.

Reads a JSON list of scenarios from standard input and writes the documents that each leads to as
JSON to standard output. It shares no code and no data with the program: prices and plans are typed
in again below, and every amount is a Fraction until the one place where it is rounded.
"""

import json
import sys
from collections import defaultdict
from fractions import Fraction as F
from math import ceil, floor

HOUR = 3600
DAY = 86400
GB = 10**9
US = 10**6

# Dollars for one GB-month, vCPU-hour, million requests, GB, million vector operations.
PRICES = {
    "storage": F("0.10"),
    "compute": F("0.05"),
    "requests": F("0.10"),
    "transfer_out": F("0.05"),
    "vector_operations": F("0.20"),
}
METERS = list(PRICES)


def included(gigabytes, vcpu):
    return {
        "storage": ("moment", gigabytes * GB),
        "compute": ("moment", vcpu * 1000),
        "requests": ("day", 10_000_000),
        "transfer_out": ("period", 100 * GB),
        "vector_operations": ("period", 10_000_000),
    }


# Fee in dollars (None: an agreement says it), how usage is paid, included amounts.
PLANS = {
    "free": (0, "nothing", {}),
    "pro-payg": (29, "fee first", {}),
    "pro-starter": (29, "beyond included", included(100, 1)),
    "pro-growth": (199, "beyond included", included(500, 4)),
    "pro-scale": (799, "beyond included", included(2000, 16)),
    "enterprise": (None, "beyond included", {}),
}


def half_up(value):
    """To the nearest whole number; exactly half goes away from zero."""
    return floor(value + F(1, 2)) if value >= 0 else -floor(-value + F(1, 2))


def shares(total, weights):
    """Splits a whole number by weights: floors, then one each to the largest remainders."""
    if total == 0:
        return {name: 0 for name in weights}
    whole = sum(weights.values())
    exact = {name: F(total * weight, whole) for name, weight in weights.items()}
    parts = {name: floor(part) for name, part in exact.items()}
    by_rest = sorted(weights, key=lambda name: (parts[name] - exact[name], name))
    for name in by_rest[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


class Stretch:
    """Time under one plan, in whole seconds."""

    def __init__(self, month, start, end, terms):
        self.month, self.start, self.end = month, start, end
        self.plan = terms["plan"]
        self.agreement = terms["agreement"]
        fee, self.pays, plan_included = PLANS[self.plan]
        agreed = self.agreement["fee"]
        self.fee = agreed if agreed is not None else fee * 100
        self.included = dict(plan_included)
        for meter, amount in self.agreement["included"].items():
            self.included[meter] = (amount["per"], amount["amount"])
        self.prices = dict(PRICES)
        for meter, price in self.agreement["prices"].items():
            self.prices[meter] = F(price)
        # (meter, start of pool) -> database -> quantity
        self.pools = defaultdict(lambda: defaultdict(int))

    def share(self, monthly):
        return due(self.month, monthly, self.start) - due(self.month, monthly, self.end)

    def granted(self, meter, pool):
        if meter not in self.included:
            return 0
        per, amount = self.included[meter]
        if per == "moment":
            return amount * (self.end - self.start) * US
        if per == "day":
            until = min((pool // DAY + 1) * DAY, self.end)
            return ceil(F(amount * (until - pool), DAY))
        return ceil(F(amount * (self.end - self.start), self.month[1] - self.month[0]))


def due(month, monthly, at):
    return half_up(F(monthly * (month[1] - at), month[1] - month[0]))


def stretches_of(month, terms):
    found = []
    for index, one in enumerate(terms):
        start = max(one["from_us"] // US, month[0])
        last = index + 1 == len(terms)
        end = month[1] if last else min(terms[index + 1]["from_us"] // US, month[1])
        if start >= end:
            continue
        if found and found[-1].end == start:
            before = found[-1]
            if (before.plan, before.agreement) == (one["plan"], one["agreement"]):
                before.end = end
                continue
        found.append(Stretch(month, start, end, one))
    return found


def pour(stretches, database, meter, start, end, quantity):
    """Spreads a quantity over the pools that lie in [start, end), in microseconds."""
    cells = []
    for stretch in stretches:
        left, right = max(start, stretch.start * US), min(end, stretch.end * US)
        daily = stretch.included.get(meter, ("", 0))[0] == "day"
        while left < right:
            if daily:
                midnight = left // (DAY * US) * DAY
                pool = max(midnight, stretch.start)
                stop = min((midnight + DAY) * US, right)
            else:
                pool, stop = stretch.start, right
            cells.append((stretch, pool, stop - left))
            left = stop
    covered = sum(length for _, _, length in cells)
    done, given = 0, 0
    for stretch, pool, length in cells:
        done += length
        until = floor(F(quantity * done, covered))
        if until > given:
            stretch.pools[meter, pool][database] += until - given
        given = until


def usage_line(stretch, meter):
    pools = {pool: by for (name, pool), by in stretch.pools.items() if name == meter}
    if not pools:
        return None
    used, billed = defaultdict(int), defaultdict(int)
    for pool, by_database in sorted(pools.items()):
        total = sum(by_database.values())
        granted = total if stretch.pays == "nothing" else stretch.granted(meter, pool)
        parts = shares(max(0, total - granted), by_database)
        for database, quantity in by_database.items():
            used[database] += quantity
            billed[database] += parts[database]
    seconds = stretch.month[1] - stretch.month[0]
    unit = {
        "storage": GB * seconds * US,
        "compute": 1000 * HOUR * US,
        "requests": 10**6,
        "transfer_out": GB,
        "vector_operations": 10**6,
    }[meter]
    cents = half_up(F(sum(billed.values()), unit) * stretch.prices[meter] * 100)
    parts = shares(cents, billed)
    return {
        "kind": meter,
        "from": stretch.start,
        "to": stretch.end,
        "cents": cents,
        "used": str(sum(used.values())),
        "billed": str(sum(billed.values())),
        "shares": [[name, str(used[name]), str(billed[name]), parts[name]] for name in sorted(used)],
    }


def plain(kind, start, end, cents):
    return {"kind": kind, "from": start, "to": end, "cents": cents}


def total(lines):
    return sum(line["cents"] for line in lines)


def rate(scenario, hours, spans):
    month = scenario["month"]
    stretches = stretches_of(month, scenario["terms"])
    for database, start, storage, requests, transfer, vectors in hours:
        for meter, quantity in [
            ("storage", int(storage)),
            ("requests", requests),
            ("transfer_out", transfer),
            ("vector_operations", vectors),
        ]:
            if quantity and month[0] <= start < month[1]:
                pour(stretches, database, meter, start * US, (start + HOUR) * US, quantity)
    for database, start, end, milli_vcpu in spans:
        start, end = max(start, month[0] * US), min(end, month[1] * US)
        if start < end:
            pour(stretches, database, "compute", start, end, milli_vcpu * (end - start))
    lines = []
    for stretch in stretches:
        own = [usage_line(stretch, meter) for meter in METERS]
        own = [line for line in own if line]
        rest = total(own)
        if stretch.pays == "fee first":
            covered = min(stretch.share(stretch.fee), rest)
            own.append(plain("covered", stretch.start, stretch.end, -covered))
            rest -= covered
        discount = half_up(F(rest * stretch.agreement["discount"], 10**6))
        own.append(plain("discount", stretch.start, stretch.end, -discount))
        lines += own
    if stretches:
        start, end = stretches[0].start, stretches[-1].end
        fees = sum(stretch.share(stretch.fee) for stretch in stretches)
        usage = total(lines)
        if scenario["spend_cap"] is not None:
            above = min(max(0, fees + usage - scenario["spend_cap"]), usage)
            lines.append(plain("above_cap", start, end, -above))
        least = sum(stretch.share(stretch.agreement["minimum"]) for stretch in stretches)
        missing = max(0, least - fees - total(lines))
        lines.append(plain("minimum", start, end, missing))
    return [line for line in lines if line["cents"] or "used" in line]


def fee_at_start(month, terms):
    for stretch in stretches_of(month, terms):
        if stretch.start == month[0] and stretch.fee:
            return [plain("fee", month[0], month[1], stretch.fee)]
    return []


def changes(scenario):
    month, terms = scenario["month"], scenario["terms"]
    invoices = []
    for index, after in enumerate(terms):
        at = after["from_us"] // US
        in_advance = terms[0]["from_us"] < month[0] * US and at == month[0]
        if not month[0] <= at < month[1] or in_advance:
            continue
        new = Stretch(month, at, month[1], after).fee
        lines = []
        if index:
            before = terms[index - 1]
            old = Stretch(month, at, month[1], before).fee
            if before["plan"] == after["plan"] and old == new:
                continue
            lines.append(plain("fee_unused", at, month[1], -due(month, old, at)))
        lines.append(plain("fee", at, month[1], due(month, new, at)))
        lines = [line for line in lines if line["cents"]]
        if lines:
            invoices.append(invoice(lines, [], scenario["tax"], at))
    return invoices


def invoice(lines, credits, tax, at):
    left = max(0, total(lines))
    used = []
    for name, remaining, expires in sorted(
        credits, key=lambda credit: (credit[2] is None, credit[2] or 0, credit[0])
    ):
        taken = min(left, remaining)
        if taken > 0 and (expires is None or at < expires):
            used.append([name, taken])
            left -= taken
    net = total(lines) - sum(taken for _, taken in used)
    on_top = half_up(F(net * tax, 10**6))
    return {"lines": lines, "credits": used, "net": net, "tax": on_top, "total": net + on_top}


def corrections(before, after):
    def key(line):
        return (line["kind"], line["from"], line["to"])

    old = {key(line): line["cents"] for line in before}
    new = {key(line): line["cents"] for line in after}
    found = [[*name, new.get(name, 0) - old.get(name, 0)] for name in old.keys() | new.keys()]
    return sorted(one for one in found if one[3])


def documents(scenario):
    month = scenario["month"]
    closing = rate(scenario, scenario["hours"], scenario["spans"])
    later = rate(scenario, scenario["hours_later"], scenario["spans_later"])
    lines = closing + fee_at_start(scenario["next_month"], scenario["terms"])
    return {
        "changes": changes(scenario),
        "closing": invoice(lines, scenario["credits"], scenario["tax"], month[1]),
        "corrections": corrections(closing, later),
    }


json.dump([documents(scenario) for scenario in json.load(sys.stdin)], sys.stdout)
