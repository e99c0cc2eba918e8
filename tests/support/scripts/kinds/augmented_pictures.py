"""A functional CNN with augmentation, batch norm and dropout on tf.data pipelines, with the usual callbacks."""

import keras
import numpy as np
import tensorflow as tf

noise = np.random.default_rng(0)
labels = noise.integers(0, 3, 300)
pictures = noise.normal(size=(300, 12, 12, 1)).astype("float32") + labels[:, None, None, None]
train = tf.data.Dataset.from_tensor_slices((pictures[:240], labels[:240])).shuffle(240).batch(16).prefetch(2)
test = tf.data.Dataset.from_tensor_slices((pictures[240:], labels[240:])).batch(16)

inputs = keras.Input((12, 12, 1))
x = keras.layers.RandomFlip("horizontal")(inputs)
x = keras.layers.RandomTranslation(0.1, 0.1)(x)
for filters in (8, 16):
    x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.MaxPooling2D()(x)
x = keras.layers.Dropout(0.3)(keras.layers.Flatten()(x))
model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(x))
model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(train, validation_data=test, epochs=4, callbacks=[
    keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True),
    keras.callbacks.ReduceLROnPlateau(patience=1),
    keras.callbacks.ModelCheckpoint("best.keras", save_best_only=True)])
model.evaluate(test)
