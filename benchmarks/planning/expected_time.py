"""What a run will take, roughly, before anything was measured: for the order of runs, the dry run and the first ETA."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..runs.run_config import RunConfig
from ..schedules.phases import first_phase, phases, segments

# Multiply-adds of a forward pass on one 28 x 28 example, where the workload has not been described yet; for a model
# not listed, something in between.
MULTIPLY_ADDS = {"mlp_128": 101_770, "mlp_512_256_128": 567_434, "cnn_small": 79_600, "resnet_20": 31_000_000,
                 "keskar_c1": 22_800_000, "keskar_c2": 268_000_000,
                 "vit_4x64": 3_400_000, "causal_2x64": 3_500_000}
UNKNOWN_MULTIPLY_ADDS = 300_000
FLOPS_PER_SECOND_AND_CORE = 90e9
SECONDS_PER_STEP = 60e-6
SECONDS_PER_RUN = 0.5
WORKER_START_SECONDS = 5.0
EVALUATED_EXAMPLES = 30_000
EXPECTED_PRODUCTS = 40  # of the power iteration
NOTHING: Mapping[str, Any] = MappingProxyType({})


def guessed(config: RunConfig) -> bool:
    """Return whether this model's cost is a guess until it has been described."""
    return config.model not in MULTIPLY_ADDS


def priority(config: RunConfig) -> tuple[float, bool]:
    """Return a key that sorts runs, the largest first: longest first, so that slots end together.

    A run that goes on from another's end comes right after that one.
    """
    return expected_seconds(first_phase(config) if config.earlier_batches else config), not config.earlier_batches


def expected_seconds(config: RunConfig, workload: Mapping[str, Any] = NOTHING) -> float:
    """Return the seconds expected of a run on its replicas' cores, without WORKER_START_SECONDS, which come once per
    stage.

    `workload`: the record's, where it has been described; its operations are counted, not guessed.
    """
    forward = workload.get("flops_per_example") or 2 * MULTIPLY_ADDS.get(config.model, UNKNOWN_MULTIPLY_ADDS)
    flops = 3 * forward  # backward is twice the forward pass
    rate = FLOPS_PER_SECOND_AND_CORE * config.cores_per_replica
    if config.kind == "throughput":
        return SECONDS_PER_RUN + config.windows * config.window_seconds * 1.2
    if config.kind == "memory":
        return SECONDS_PER_RUN + config.memory_steps * config.global_batch * flops / rate
    seconds = SECONDS_PER_RUN
    for phase in phases(config)[-max(1, len(config.earlier_batches)):]:  # the first phase is another run's
        steps, points = phase.end, len(segments(phase))
        seconds += steps * SECONDS_PER_STEP + steps * phase.global_batch * flops / rate / config.replicas
        seconds += points * EVALUATED_EXAMPLES * flops / 3 / rate * (2 if config.noise_batches else 1)
    # A product of the Hessian with a vector costs about two gradients.
    return seconds + config.sharpness_examples * EXPECTED_PRODUCTS * 2 * flops / rate
