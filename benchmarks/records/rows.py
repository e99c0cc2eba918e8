"""What the parts of a record hold: the rows that a run measures, and its sections with one value to a name.

The fields of the record that meters fill are `Measurements`, where a new meter's has its line.

A number that was not measured, or is not finite, is null: absent is never 0.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ..decoding import Count, Number, Whole

Measured = Number | None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """The metrics after some steps of training."""

    phase: Annotated[Whole, Meta(description="index of the phase (0 but for batches trained one after another on the "
                                 "same weights)")]
    global_batch: Annotated[Whole, Meta(description="global batch of the phase, examples")]
    step: Annotated[Whole, Meta(description="training steps done in this phase")]
    epoch: Annotated[Number, Meta(description="epochs done in this phase")]
    examples: Annotated[Whole, Meta(description="training examples seen in this phase")]
    train_seconds: Annotated[Number, Meta(description="seconds of training up to here in this phase; evaluation and "
                                          "tracing left out")]
    loss_scale: Annotated[Measured, Meta(description="scale of the loss after this step, under mixed_float16")] = None
    skipped_steps: Annotated[Whole | None, Meta(description="steps of this phase left out, whose gradient was not "
                                                "finite, under mixed_float16")] = None
    train_loss: Annotated[Measured, Meta(description="mean loss on the fixed subset of the training data, inference "
                                         "mode")]
    train_accuracy: Annotated[Measured, Meta(description="fraction right on the same subset")] = None
    validation_loss: Annotated[Measured, Meta(description="mean loss on the validation data")] = None
    validation_accuracy: Annotated[Measured, Meta(description="fraction right on the validation data")] = None
    test_loss: Annotated[Measured, Meta(description="mean loss on the test data")]
    test_accuracy: Annotated[Measured, Meta(description="fraction right on the test data")] = None
    metrics: Annotated[dict[str, Measured], Meta(
        description="the configuration's other metrics: train_<name>, validation_<name>, test_<name>, the mean over "
        "the same examples")] = {}
    reference_steps: Annotated[Measured, Meta(description="under adascale: tau, how many of the reference batch's "
                                              "steps those done are worth")] = None
    gain: Annotated[Measured, Meta(description="under adascale: gain r of the last step, from 1 to kappa")] = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The time of some steps of one rank."""

    rank: Annotated[Whole, Meta(description="rank that took the time")]
    phase: Annotated[Whole, Meta(description="index of the phase")]
    start_step: Annotated[Whole, Meta(description="first step of the window")]
    steps: Annotated[Whole, Meta(description="training steps in the window")]
    seconds: Annotated[Number, Meta(description="wall seconds between the device synchronisations at its ends")]
    steady: Annotated[bool, Meta(description="false for warm-up windows")]


class OwnWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The time of some steps of one rank that waits for no other."""

    rank: Annotated[Whole, Meta(description="rank that took the time")]
    host: Annotated[str, Meta(description="its node")]
    phase: Annotated[Whole, Meta(description="index of the phase")]
    steps: Annotated[Whole, Meta(description="training steps in the window, without the exchange of gradients")]
    seconds: Annotated[Number, Meta(description="wall seconds, from a barrier on; no rank waits for another in "
                                    "between")]


class Energy(msgspec.Struct, frozen=True, kw_only=True):
    """The energy counters of one rank's GPUs around the timed windows."""

    rank: Annotated[Whole, Meta(description="rank whose GPUs these are")]
    start_millijoules: Annotated[tuple[Whole | None, ...], Meta(
        description="NVML's total energy counter of each of its GPUs before the timed windows; null: none")]
    end_millijoules: Annotated[tuple[Whole | None, ...], Meta(description="the same after them")]
    examples: Annotated[Whole, Meta(description="examples that all replicas trained on in between")]


class GPUReading(msgspec.Struct, frozen=True, kw_only=True):
    """The sensors of one GPU after a timed window."""

    rank: Annotated[Whole, Meta(description="rank whose GPU this is")]
    window: Annotated[Whole, Meta(description="timed window that had just ended")]
    gpu: Annotated[Whole, Meta(description="number among the rank's GPUs")]
    power_milliwatts: Annotated[Measured, Meta(description="power drawn, by NVML, which may average over the last "
                                               "second")]
    power_limit_milliwatts: Annotated[Measured, Meta(description="power that the GPU may draw")]
    clock_mhz: Annotated[Measured, Meta(description="clock of its multiprocessors")]
    highest_clock_mhz: Annotated[Measured, Meta(description="highest that this clock can be")]
    busy_percent: Annotated[Measured, Meta(description="share of NVML's last sampling period in which a kernel ran")]


class GradientNorm(msgspec.Struct, frozen=True, kw_only=True):
    """Norms of gradients of one batch size at one point of the training."""

    phase: Annotated[Whole, Meta(description="index of the phase")]
    step: Annotated[Whole, Meta(description="training steps done at these weights")]
    batch: Annotated[Whole, Meta(description="b: examples per gradient")]
    count: Annotated[Whole, Meta(description="k: disjoint groups of b examples")]
    mean_norm_squared: Annotated[Measured, Meta(description="mean over the k groups of |g_b|^2")]
    norm_squared_of_mean: Annotated[Measured, Meta(description="|mean over the k groups of g_b|^2, the gradient of a "
                                                   "batch of k b")]


class Sharpness(msgspec.Struct, frozen=True, kw_only=True):
    """The curvature of the training loss where a phase ended."""

    phase: Annotated[Whole, Meta(description="index of the phase")]
    step: Annotated[Whole, Meta(description="training steps done at these weights, the end of the run")]
    learning_rate: Annotated[Number, Meta(description="rate of the last step")]
    examples: Annotated[Whole, Meta(description="training examples it was measured on, the same in all runs; "
                                    "inference mode, float32")]
    loss: Annotated[Measured, Meta(description="their mean loss L(w)")]
    gradient_norm: Annotated[Measured, Meta(description="|g| of that loss")]
    eigenvalue: Annotated[Measured, Meta(description="the Hessian's eigenvalue that is largest in size, by power "
                                         "iteration; a few per cent low where others are near it")]
    products: Annotated[Whole, Meta(description="Hessian-vector products taken")]
    converged: Annotated[bool, Meta(description="whether the last one changed it by at most 0.1 %")]
    sam_sharpness: Annotated[Measured, Meta(description="L(w + 0.05 g / |g|) - L(w)")]


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of rank 0."""

    baseline_bytes: Annotated[Measured, Meta(description="resident size after import, data and model building")]
    peak_bytes: Annotated[Measured, Meta(description="largest resident size of rank 0's process while training")]
    device_baseline_bytes: Annotated[Measured, Meta(description="allocator's bytes in use before training, of the "
                                                    "fullest GPU; null on a CPU")]
    device_peak_bytes: Annotated[Measured, Meta(description="allocator's peak while training, of the fullest GPU; "
                                                "null on a CPU")]
    device_capacity_bytes: Annotated[Measured, Meta(description="memory of the smallest GPU in use, by NVML; null "
                                                    "where not told")] = None
    device_used_bytes: Annotated[Measured, Meta(description="memory in use on the fullest GPU when the run ended, by "
                                                "NVML: the allocator's pool, and outside it CUDA's context, libraries "
                                                "and buffers of NCCL; null where not told")] = None


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """The seconds of a run by activity."""

    data_seconds: Annotated[Number, Meta(description="loading data and placing it on the device")]
    build_seconds: Annotated[Number, Meta(description="building the model and its initial weights")]
    trace_seconds: Annotated[Number, Meta(description="tracing and compiling")]
    train_seconds: Annotated[Number, Meta(description="training steps")]
    evaluate_seconds: Annotated[Number, Meta(description="evaluation and agreement checks")]
    probe_seconds: Annotated[Number, Meta(description="gradient norms, and timing each rank, input and model on their "
                                          "own")]
    total_seconds: Annotated[Number, Meta(description="the run, from claim to record")]
    launch_seconds: Annotated[Measured, Meta(description="from the launcher's start to the process'; 0 but for a "
                                             "worker's first run")] = None
    import_seconds: Annotated[Measured, Meta(description="from the process' start until runs can be done; 0 but for a "
                                             "worker's first run")] = None


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """The proof that the replicas trained together."""

    size_expected: Annotated[Whole, Meta(description="ranks the launcher asked for")]
    size: Annotated[Whole, Meta(description="ranks that answered")]
    replicas: Annotated[Whole, Meta(description="replicas that trained")]
    equal_after_broadcast: Annotated[bool, Meta(description="weights bit for bit equal on all replicas before the "
                                                "first step")]
    shards_disjoint_and_complete: Annotated[bool, Meta(description="each example of an epoch seen by exactly one "
                                                       "replica")]
    equal_at_evaluations: Annotated[Whole, Meta(description="evaluations at which all replicas' weights were bit for "
                                                "bit equal")]


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """The data and the model."""

    source: Annotated[str, Meta(description="what the data is, in one sentence")]
    train_examples: Annotated[Whole, Meta(description="N: training examples after the validation split")]
    validation_examples: Annotated[Whole, Meta(description="validation examples")]
    test_examples: Annotated[Whole, Meta(description="test examples")]
    input_shape: Annotated[tuple[Count, ...] | dict[str, tuple[Count, ...]], Meta(
        description="shape of one example; of several inputs a mapping from their names")]
    classes: Annotated[Count | dict[str, Count], Meta(
        description="number of classes; 0 for a regression; of several outputs a mapping from their names")]
    parameters: Annotated[Whole, Meta(description="trainable parameters")]
    flops_per_example: Annotated[Measured, Meta(description="forward floating-point operations per example, 2 per "
                                                "multiply-add")]
    flops_not_counted: Annotated[tuple[str, ...], Meta(description="kinds of operation that this number leaves out, "
                                                       "with how often each occurs")] = ()
    baseline_accuracy: Annotated[Measured, Meta(description="test accuracy of the training data's most common class; "
                                                "null without one")] = None
    baseline_loss: Annotated[Measured, Meta(
        description="test loss of an answer that ignores the inputs: the classes' shares, or the mean of the training "
        "targets; null where not known")] = None
    fingerprint: Annotated[dict[str, str] | None, Meta(
        description="digests of what was trained, by part: data, layers, "
        "sources of functions, versions")] = None


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a record that meters fill."""

    gradient_norms: Annotated[tuple[GradientNorm, ...], Meta(description="see Gradient norm")]
    memory: Annotated[Memory | None, Meta(description="see Memory")]
    sharpness: Annotated[tuple[Sharpness, ...], Meta(description="see Sharpness; of accuracy runs whose plan asks for "
                                                     "it")] = ()
    own_windows: Annotated[tuple[OwnWindow, ...], Meta(description="see Own window; every rank's, of timing runs of "
                                                       "several ranks")] = ()
    input_windows: Annotated[tuple[Window, ...], Meta(description="see Window; batches read from disk, decoded and put "
                                                      "on the device, without a model")] = ()
    synthetic_windows: Annotated[tuple[Window, ...], Meta(description="see Window; the same steps on examples that are "
                                                          "on the device already")] = ()
    energy: Annotated[tuple[Energy, ...], Meta(description="see Energy; of timing runs on GPUs that count it")] = ()
    gpus: Annotated[tuple[GPUReading, ...], Meta(description="see GPU reading; of timing runs on GPUs")] = ()
