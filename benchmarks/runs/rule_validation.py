"""What a rule asks of the run that follows it: optimizer, measured numbers, replicas, room for its warm-up.

Raises PlanError naming the rule, the value and the fix, before any rank starts.
"""

from __future__ import annotations

from ..config.fields import RunFields
from ..errors import PlanError
from ..schedules.rules import NEEDED, Rule, RULES


def validate_rule(config: RunFields) -> None:
    """Check the run against its rule; its batches and placement must be valid. Raises PlanError."""
    rule = RULES[config.rule]
    _validate_optimizer(config, rule)
    for name, how in NEEDED.items():
        if rule.needs == name and not getattr(config, name) > 0:
            raise PlanError(f"rule={config.rule!r} needs {name}, {how}.")
        if rule.needs != name and getattr(config, name):
            raise PlanError(f"{name}={getattr(config, name):g} has no meaning for rule={config.rule!r}; leave it out.")
    if rule.check is not None:
        rule.check(config)


def _validate_optimizer(config: RunFields, rule: Rule) -> None:
    if rule.optimizers and config.optimizer not in rule.optimizers:
        why = rule.unfit.format(optimizer=f"optimizer={config.optimizer!r}")
        raise PlanError(f"rule={config.rule!r} {why} choose one of {', '.join(rule.optimizers)}.")
