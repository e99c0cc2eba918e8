"""RunFields: every setting of one run, and the numbers that follow from the settings by arithmetic alone.

`RunConfig` is the checked form of it. Schedules take the fields, so that they can be asked while a configuration is
still being checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property

from .choices import DROP, KEEP, MEASURED_RULE, ONE
from .objectives import ACCURACY, CROSS_ENTROPY
from .strategies import has_process_per_replica, strategy_name

# What every run did before there was a choice: a configuration that says no more is the same run as then.
LATER = {"last_batch": DROP, "rate_exponent": 0.0, "stops_after": 0, "exchange": ONE, "tf32": None,
         "deterministic": False}


@dataclass(frozen=True, kw_only=True)
class RunFields:
    """One run: what is trained, how, on what, from which seed.

    `kind` decides what is collected: `accuracy` trains `epochs` and evaluates; `throughput` times `windows` windows
    after `warmup_steps`; `memory` takes `memory_steps` steps in a fresh process and reads the peak, repeating
    examples where its batch exceeds them. `memory_limit_bytes` (0: none) is what the largest-batch search allows each
    GPU or, on CPUs, the data of each rank's process. `fingerprint`: the digest of what is trained, the model, the data
    and the versions, so that a run of an edited model is another run; "" where it is not known. `last_batch`: whether
    an accuracy run takes the smaller batch that is left over at an epoch's end, as `fit` does; a configuration without
    it is older and dropped it. `stops_after`: epochs after which a trial of a tuned arm ends, before its schedule
    does, to be compared there with others; 0: none. `exchange`: whether the gradients of a step go from replica to
    replica in one piece once all are there, or in groups, each as soon as it is there, while the others are computed.
    `tf32`: whether a GPU may round the factors of products of float32 to 10 bits; None leaves it to TensorFlow, which
    does. `deterministic`: whether the same seed gives the same bits on a GPU too.
    """

    experiment: str
    kind: str
    dataset: str
    model: str
    optimizer: str
    global_batch: int
    train_examples: int
    seed: int
    rule: str = "constant"
    trial: int = -1
    base_learning_rate: float = 0.01
    reference_batch: int = 32
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    accumulation: int = 1
    warmup_epochs: float = 5.0
    legw_epochs: float = 0.0
    noise_scale: float = 0.0
    rate_exponent: float = 0.0
    decay: str = ""
    decay_epochs: tuple[float, ...] = ()
    decay_factor: float = 0.1
    decay_power: float = 2.0
    epochs: int = 1
    stops_after: int = 0
    earlier_batches: tuple[int, ...] = ()
    validation_fraction: float = 0.2
    train_subset: int = 10_000
    noise_batches: tuple[int, ...] = ()
    sharpness_examples: int = 0
    strategy: str = "single"
    transport: str = ""
    replicas: int = 1
    nodes: int = 1
    cores_per_replica: int = 1
    scaling: str = ""
    launch: int = 0
    loss: str = CROSS_ENTROPY
    metrics: tuple[str, ...] = (ACCURACY,)
    from_logits: bool = True
    warmup_steps: int = 20
    windows: int = 10
    window_seconds: float = 0.2
    memory_steps: int = 3
    memory_limit_bytes: int = 0
    precision: str = "float32"
    exchange: str = ONE
    tf32: bool | None = None
    deterministic: bool = False
    jit: bool = False
    synchronized_batch_norm: bool = False
    input: str = "auto"
    last_batch: str = DROP
    fingerprint: str = ""

    @property
    def replica_batch(self) -> int:
        """Examples a replica holds at once, n = B / (R accumulation); batch norm normalizes over them."""
        return self.global_batch // (self.replicas * self.accumulation)

    @property
    def ranks(self) -> int:
        """Processes that do the run together."""
        return self.replicas if has_process_per_replica(self.strategy) else 1

    @property
    def batches(self) -> tuple[int, ...]:
        """The global batch of each phase; several only where batches follow one another on the same weights."""
        return (*self.earlier_batches, self.global_batch)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch: floor(N / B), and one more where the last batch is kept; at least 1 in a memory run."""
        steps = self.epoch_steps(self.global_batch)
        return max(1, steps) if self.kind == "memory" else steps

    def epoch_steps(self, batch: int) -> int:
        """Return the steps of an epoch at this global batch, the batch that is left over among them where it is kept.
        """
        return self.train_examples // batch + (self.left_over(batch) > 0)

    def left_over(self, batch: int) -> int:
        """Return the examples of an epoch's last, smaller batch at this global batch; 0 where there is none."""
        return self.train_examples % batch if self.last_batch == KEEP else 0

    @property
    def steps(self) -> int:
        """Steps of the last phase: those of an epoch, epochs times.

        Under adascale the most there can be, T = epochs floor(N / B0): each step is worth at least one of the
        reference batch's, and the run ends when they come to T.
        """
        return self.epochs * (self.train_examples // self.reference_batch if self.adapts else self.steps_per_epoch)

    @property
    def adapts(self) -> bool:
        """Return whether the rate, and with it the number of steps, is measured while training."""
        return self.rule == MEASURED_RULE

    @property
    def kappa(self) -> float:
        """B / B0: how many times the reference batch this global batch is."""
        return self.global_batch / self.reference_batch

    @property
    def strategy_name(self) -> str:
        """Return the strategy with its transport and the way of its exchange, such as horovod-mpi-groups."""
        return strategy_name(self.strategy, self.transport, self.exchange)

    @property
    def dtype(self) -> str:
        """Type of weights and examples; mixed precision computes in 16 bits and keeps both in float32."""
        return "float64" if self.precision == "float64" else "float32"

    @property
    def shape(self) -> str:
        """Runs of one shape can share a worker; a timing launch and a memory run get a process of their own."""
        rounded = {None: "", True: "-tf32", False: "-float32"}[self.tf32]
        told = f"{rounded}{'-deterministic' if self.deterministic else ''}"  # to TensorFlow, for a whole process
        key = f"{self.strategy_name}-{self.replicas}r-{self.nodes}n-{self.cores_per_replica}c{told}"
        if self.kind == "throughput":
            return f"{key}-timing-{self.experiment if self.scaling == '' else 'scaling'}-{self.launch}"
        return f"{key}-memory-{self.settings_digest}" if self.kind == "memory" else key

    @property
    def workload_key(self) -> str:
        """Runs of one workload are described together: the data, the model and what it is trained for."""
        ending = () if self.from_logits else ("probabilities",)
        made = (self.optimizer,) if ":" in self.optimizer else ()  # which is tried, too
        return "|".join((self.dataset, self.model, str(self.validation_fraction), self.loss, *self.metrics, *ending,
                         *made))

    @property
    def alone(self) -> bool:
        """Return whether nothing else may run on the machine meanwhile."""
        return self.kind != "accuracy"

    @cached_property
    def digest(self) -> str:
        """Return the digest of the whole configuration, 10 hexadecimal digits; an empty fingerprint is left out."""
        return self._digest(("fingerprint",) if not self.fingerprint else ())

    @property
    def settings_digest(self) -> str:
        """Digest of all settings but the fingerprint, which is not known before the model has been built."""
        return self._digest(("fingerprint",))

    def _digest(self, left_out: tuple[str, ...]) -> str:
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in left_out}
        for name, before in LATER.items():
            if name in values and values[name] == before:
                del values[name]
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def run_id(self) -> str:
        """Readable name of the run, unique by the digest of the whole configuration. It is never parsed."""
        parts = (self.experiment, self.strategy, self.transport, f"{self.replicas}r", f"b{self.global_batch}",
                 self.exchange if self.exchange != ONE else "",
                 self.rule, f"t{self.trial}" if self.trial >= 0 else "",
                 f"e{self.stops_after}" if self.stops_after else "", f"s{self.seed}",
                 f"l{self.launch}" if self.kind == "throughput" else "", self.digest)
        return "-".join(part for part in parts if part)
