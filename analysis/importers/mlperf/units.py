"""What MLPerf's benchmarks count on the way to their target, whatever the file calls it.

Reference points write "Epochs to converge" and logs write epoch_num for samples and tokens as well. The units are those
of the benchmarks' definitions (MLPerf Training's rules and reference implementations, rounds 0.5 to 6.0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..imported_run import MOST_EPOCHS

EPOCHS, SAMPLES, TOKENS = "epochs", "samples", "tokens"
UNKNOWN = "units"
OF_EPOCHS = ("resnet", "ssd", "maskrcnn", "unet3d", "rnnt", "gnmt", "transformer", "ncf", "dlrm", "dlrm_dcnv2", "rgat",
             "cosmoflow", "deepcam", "oc20")
OF_SEQUENCES = ("bert", "llama2_70b_lora", "llama31_405b", "llama31_8b", "gpt_oss_20b", "deepseekv3_671b",
                "qwen35_397b_grpo")
OF_IMAGES = ("stable_diffusion", "flux1")
# Tokens of one example of the batch.
SEQUENCE_TOKENS = {"gpt3": 2048}


@dataclass(frozen=True)
class Unit:
    """Unit of what is counted. kind: EPOCHS, SAMPLES or TOKENS; name: in words, plural; size: tokens of an example."""

    kind: str
    name: str
    size: int = 1

    @property
    def example(self) -> str:
        """Return what an example of the batch is called, plural."""
        return {EPOCHS: "examples", SAMPLES: self.name, TOKENS: "sequences"}[self.kind]


UNITS: Mapping[str, Unit] = {
    **{name: Unit(EPOCHS, "epochs") for name in OF_EPOCHS},
    **{name: Unit(SAMPLES, "sequences") for name in OF_SEQUENCES},
    **{name: Unit(SAMPLES, "images") for name in OF_IMAGES},
    **{name: Unit(TOKENS, "tokens", size) for name, size in SEQUENCE_TOKENS.items()}}


def amounts(amount: float, unit: Unit, train_examples: float | None) -> tuple[float | None, float | None]:
    """Return an amount of training as epochs and as examples; None for what does not follow.

    train_examples: of one epoch, None where that is not known.
    """
    if unit.kind == EPOCHS:
        return amount, amount * train_examples if train_examples else None
    examples = amount / unit.size
    return examples / train_examples if train_examples else None, examples


def unit_of_log(benchmark: str, says_epochs: bool, most: float, batch: int = 1) -> tuple[Unit, str]:
    """Return what a log counts, and a sentence where that is not what is known of its benchmark; else "".

    says_epochs: whether its word is epoch_num, not samples_count; most: the largest amount of the benchmark's logs;
    batch: their smallest, less than which no run trains.
    """
    known = UNITS.get(benchmark)
    if not says_epochs:
        return Unit(SAMPLES, "samples" if known is None or known.kind == EPOCHS else known.example), ""
    if known is not None and (known.kind == EPOCHS or not 0 < most < batch * known.size):
        return known, ""
    if known is not None:
        return Unit(EPOCHS, "epochs"), (f"{benchmark}: its epoch_num goes to {most:,.0f}, which is less than one batch "
                                        f"in {known.name}; it is taken for epochs.")
    if most > MOST_EPOCHS:
        return Unit(SAMPLES, "samples"), (f"{benchmark}: its epoch_num goes to {most:,.0f}, which is too many for "
                                          "epochs; it is taken for samples.")
    return Unit(EPOCHS, "epochs"), (f"{benchmark}: what this benchmark counts is not known, so epoch_num is taken at "
                                    "its word.")
