"""The models and batches on which training throughput is compared: those of the plan `keras_batching`."""

from __future__ import annotations

from dataclasses import asdict, dataclass

EXAMPLES = 48_000  # what that plan trains on: 60,000 of 28 x 28, a fifth set aside
WHOLE = 0


@dataclass(frozen=True)
class Case:
    """One model, one optimizer, one global batch; 0 is the whole training set."""

    model: str
    optimizer: str
    global_batch: int

    def __str__(self) -> str:
        return f"{self.model}-{self.optimizer}-{self.global_batch or 'all'}"

    def to_json(self) -> dict[str, str | int]:
        """Return the case as a JSON object."""
        return asdict(self)


CASES = (
    *(Case("mlp_128", "sgd", batch) for batch in (32, 128, 512, WHOLE)),
    *(Case("mlp_128", "adam", batch) for batch in (32, 128, 512, 2048)),
    *(Case("mlp_512_256_128", "adam", batch) for batch in (32, 256, 1024)),
)
