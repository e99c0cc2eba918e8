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
FORWARD = 1 / 3  # of a step's operations: backward is twice the forward pass
EXPECTED_PRODUCTS = 40  # of the power iteration
NOTHING: Mapping[str, Any] = MappingProxyType({})
EXAMPLE_SECONDS = "example_seconds"
"""In workloads.json: the processor's seconds that the gradient of an example takes, as it was tried."""


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

    `workload`: as it was described, where it was: an example was tried, or at least its operations were counted.
    """
    example = _example_seconds(config, workload) / config.cores_per_replica
    if config.kind == "throughput":
        return SECONDS_PER_RUN + config.windows * config.window_seconds * 1.2
    if config.kind == "memory":
        return SECONDS_PER_RUN + config.memory_steps * config.global_batch * example
    seconds, evaluated = SECONDS_PER_RUN, _evaluated_examples(config, workload)
    for phase in phases(config)[-max(1, len(config.earlier_batches)):]:  # the first phase is another run's
        steps, points = phase.end, len(segments(phase))
        seconds += steps * SECONDS_PER_STEP + steps * phase.global_batch * example / config.replicas
        seconds += points * evaluated * example * FORWARD * (2 if config.noise_batches else 1)
    # A product of the Hessian with a vector costs about two gradients.
    return seconds + config.sharpness_examples * EXPECTED_PRODUCTS * 2 * example


def _example_seconds(config: RunConfig, workload: Mapping[str, Any]) -> float:
    """What the gradient of one example takes a core."""
    if tried := workload.get(EXAMPLE_SECONDS):
        return float(tried)
    forward = workload.get("flops_per_example") or 2 * MULTIPLY_ADDS.get(config.model, UNKNOWN_MULTIPLY_ADDS)
    return float(forward) / FORWARD / FLOPS_PER_SECOND_AND_CORE


def _evaluated_examples(config: RunConfig, workload: Mapping[str, Any]) -> int:
    """Of one evaluation: those held out for validation, for the test, and a part of those that are trained on."""
    validation, test = (workload.get(name) for name in ("validation_examples", "test_examples"))
    if validation is None or test is None:
        return EVALUATED_EXAMPLES
    return int(validation) + int(test) + min(config.train_subset, config.train_examples)


def as_on_gpus(workloads: Mapping[str, Any]) -> dict[str, Any]:
    """Return described workloads for a plan that trains on GPUs, without what a processor took for them."""
    return {key: {name: value for name, value in one.items() if name != EXAMPLE_SECONDS} if isinstance(one, dict)
            else one for key, one in workloads.items()}
