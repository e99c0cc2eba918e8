"""How this process' GPUs compute: whether they round the factors of float32 products, and the same bits every time."""

from __future__ import annotations

import os
from typing import Any

from ...errors import EnvironmentUnusable
from ...runs.run_config import RunConfig

FIRST_WITH_TF32 = (8, 0)  # Ampere's compute capability
OVERRIDE = "NVIDIA_TF32_OVERRIDE"  # of NVIDIA's libraries, over what a program asks for


def prepare(config: RunConfig) -> None:
    """Tell TensorFlow what the run asks for, before anything is computed; it holds for the whole process. Raises
    EnvironmentUnusable where the GPUs would do something else."""
    import tensorflow as tf
    if config.tf32 is not None:
        _check(config.tf32, capabilities(tf))
        tf.config.experimental.enable_tensor_float_32_execution(config.tf32)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def _check(asked: bool, able: list[Any]) -> None:
    said = os.environ.get(OVERRIDE, "")
    if said in ("0", "1") and said != str(int(asked)):
        raise EnvironmentUnusable(f"tf32 = {str(asked).lower()} and {OVERRIDE}={said}, by which NVIDIA's libraries do "
                                  "otherwise; unset the variable.")
    if asked and not any(rounds(capability) for capability in able):
        raise EnvironmentUnusable("tf32 = true and no GPU here rounds float32 to TF32, which takes one of compute "
                                  f"capability {'.'.join(map(str, FIRST_WITH_TF32))} or more (Ampere); leave tf32 out.")


def capabilities(tf: Any) -> list[Any]:
    """Return the compute capability of each visible GPU; None where it is not told."""
    return [tf.config.experimental.get_device_details(gpu).get("compute_capability")
            for gpu in tf.config.get_visible_devices("GPU")]


def rounds(capability: Any) -> bool:
    """Return whether a GPU of this compute capability can round float32 to TF32; one that is not told is taken to."""
    return capability is None or tuple(capability) >= FIRST_WITH_TF32


def in_tf32(tf: Any) -> bool:
    """Return whether products of float32 are rounded to TF32 on a GPU of this process."""
    said = os.environ.get(OVERRIDE, "")
    allowed = said == "1" or said != "0" and bool(tf.config.experimental.tensor_float_32_execution_enabled())
    return allowed and any(map(rounds, capabilities(tf)))


def warnings(config: RunConfig) -> list[str]:
    """Return a sentence where float32 is TF32 though the plan does not say so; for the record."""
    import tensorflow as tf
    if config.precision != "float32" or config.tf32 is not None or not in_tf32(tf):
        return []
    return ["precision is float32, and this GPU rounded the factors of its products to TF32, TensorFlow's default: "
            "write tf32 = true in the plan where that is meant, tf32 = false where it is not"]
