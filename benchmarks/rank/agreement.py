"""Proof that the replicas train together. A run that cannot give it is `invalid` and no figure comes of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..config.strategies import STRATEGIES
from ..data.order import epoch_order, last_shares, replica_examples
from ..errors import PlanError, RanksDisagree
from ..runs.run_config import RunConfig
from .strategies.base import Strategy


WORDS = {"data": "the data of {config.dataset}", "layers": "the layers of {config.model}",
         "model source": "the source of {config.model}", "loss source": "the source of loss {config.loss}",
         "metrics source": "the source of the metrics", "optimizer source": "the source of {config.optimizer}"}


def check_size(strategy: Strategy, config: RunConfig) -> None:
    """Check that every rank found the others. Raises RanksDisagree."""
    if strategy.replicas != config.replicas:
        raise RanksDisagree(
            f"{config.replicas} replicas were asked for and {strategy.replicas} answered (rank {strategy.rank} sees "
            f"size {strategy.size}). {STRATEGIES[config.strategy].advice}")


def check_described(strategy: Strategy, config: RunConfig, found: Mapping[str, str],
                    workload: Mapping[str, Any]) -> None:
    """Check that every rank trains what was described before it started. Raises PlanError on all ranks.

    `found`: the digests of this rank's parts; `workload`: the description, whose digests may be absent.
    """
    described = workload.get("fingerprint")
    told = described if isinstance(described, Mapping) else {}
    other = [name for name, value in found.items() if name in told and told[name] != value]
    for rank, names in enumerate(strategy.gather(other)):
        if names:
            words = ", ".join(WORDS[name].format(config=config) for name in names)
            raise PlanError(f"rank {rank} has other things to train than were described when the plan was started: "
                            f"{words}. They were edited meanwhile, or differ from process to process or from node to "
                            "node (a generator without a fixed seed, say): make them the same, and run the plan again.")


def weight_digests(strategy: Strategy, variables: Sequence[Any]) -> list[str]:
    """Return a digest of all weights for every replica, over all ranks."""
    copies = [strategy.copies(variable) for variable in variables]
    local = []
    for replica in range(strategy.local_replicas):
        digest = hashlib.sha256()
        for values in copies:
            digest.update(np.ascontiguousarray(values[replica]).tobytes())
        local.append(digest.hexdigest())
    return [digest for digests in strategy.gather(local) for digest in digests]


def check_weights(strategy: Strategy, variables: Sequence[Any], when: str) -> None:
    """Check that all replicas hold the same weights, bit for bit. Raises RanksDisagree."""
    digests = weight_digests(strategy, variables)
    if len(digests) != strategy.replicas or len(set(digests)) != 1:
        odd = [index for index, digest in enumerate(digests) if digest != digests[0]]
        raise RanksDisagree(f"replicas {odd} hold other weights than replica 0 {when}: the replicas do not train "
                            "together, so no figure of this run means anything.")


def check_shards(strategy: Strategy, config: RunConfig) -> None:
    """Check that the replicas' parts of an epoch are disjoint and together all of it. Raises RanksDisagree."""
    order = epoch_order(config.seed, 0, config.train_examples, config.global_batch)
    first = strategy.rank * strategy.local_replicas
    whole = max(1, config.train_examples // config.global_batch)
    own = [replica_examples(order, step, config.global_batch, first + replica, config.replicas)
           for step in range(whole)
           for replica in range(strategy.local_replicas)]
    left = order[whole * config.global_batch:][:config.left_over(config.global_batch)]
    shares = last_shares(len(left), config.replicas * config.accumulation)
    own += [left[share] for share in shares[first * config.accumulation:
                                            (first + strategy.local_replicas) * config.accumulation]]
    everyone = np.concatenate(strategy.gather(np.concatenate(own)))  # of a rank one array: each costs to tell
    expected = order[:whole * config.global_batch + len(left)]
    if not np.array_equal(np.sort(everyone), np.sort(expected)):
        raise RanksDisagree(f"the replicas' shards hold {len(everyone)} examples, {len(np.unique(everyone))} of them "
                            f"different, where an epoch has {len(expected)}: shards overlap or miss some.")
