"""Prints the operations and parameters of layers and models that can be counted by hand."""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from batchscale.benchmarks.errors import PlanError
from batchscale.benchmarks.rank import models
from batchscale.benchmarks.rank.models import applications
from batchscale.benchmarks.rank.workload import flops


def counted(model: keras.Model, *shape: int, dtype: str = "float32") -> list[Any]:
    return list(flops.forward_flops(model, np.zeros((1, *shape), dtype)))


def of(shape: tuple[int, ...], *parts: Any) -> list[Any]:
    return counted(keras.Sequential([keras.Input(shape), *parts]), *shape)


def attention(causal: bool = False) -> list[Any]:
    x = keras.Input((8, 12))
    return counted(keras.Model(x, layers.MultiHeadAttention(3, 4)(x, x, use_causal_mask=causal)), 8, 12)


def refusal(name: str, shape: tuple[int, ...]) -> str:
    try:
        models.build(name, shape, 10, seed=0)
    except PlanError as error:
        return str(error)
    return ""


def einsum(equation: str, *shapes: tuple[int, ...]) -> int | None:
    graph = tf.function(lambda *x: tf.einsum(equation, *x)).get_concrete_function(
        *(tf.TensorSpec(shape) for shape in shapes)).graph
    return flops.count(graph)[0]


def parameters(model: keras.Model) -> list[int]:
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    return [trainable, int(model.count_params())]


resnet = models.build("ResNet50", (224, 224, 3), 1000, seed=0)
pixels = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
efficient = models.build("EfficientNetB0", (32, 32, 3), 10, seed=0)
plain = keras.applications.EfficientNetB0(weights=None, classes=10, classifier_activation=None, input_shape=(32, 32, 3))
plain.set_weights(efficient.get_weights())
print(json.dumps({
    "dense": of((20,), layers.Dense(30)), "dense relu": of((20,), layers.Dense(30, activation="relu")),
    "convolution": of((8, 8, 3), layers.Conv2D(5, 3, padding="same", use_bias=False)),
    "groups": of((8, 8, 4), layers.Conv2D(6, 3, strides=2, padding="same", groups=2, use_bias=False)),
    "depthwise": of((8, 8, 3), layers.DepthwiseConv2D(3, padding="same", use_bias=False)),
    "transposed": of((4, 4, 3), layers.Conv2DTranspose(5, 2, strides=2, use_bias=False)),
    "pooling": of((8, 8, 3), layers.MaxPooling2D(2)),
    "attention": attention(), "causal": attention(causal=True),
    "einsum": [einsum("abc,cd->abd", (2, 3, 4), (4, 5)), einsum("...ij,...jk->...ik", (7, 2, 3, 4), (7, 2, 4, 5)),
               einsum("BTNH,BSNH->BNTS", (1, 8, 3, 4), (1, 8, 3, 4))],
    "unknown": of((6, 6), layers.Lambda(lambda x: tf.linalg.inv(x), output_shape=(6, 6))),
    "ResNet50": counted(resnet, 224, 224, 3), "ResNet50 parameters": parameters(resnet),
    "vit": parameters(models.build("vit_4x64", (28, 28, 1), 10, seed=0)),
    "causal parameters": parameters(models.build("causal_2x64", (32,), 16, seed=0)),
    "refused": [refusal("ResNet50", (28, 28, 1)), refusal("InceptionV3", (32, 32, 3)), refusal("VGG16", (64,)),
                refusal("vit_4x64", (29, 31, 1)), refusal("causal_2x64", (28, 28, 1)), refusal("ResNet5", (32, 32, 3))],
    "names": [len(applications.names()), "ResNet50" in applications.names()],
    "pixels": float(np.abs(efficient(pixels) - plain(255 * pixels)).max()),
}))
