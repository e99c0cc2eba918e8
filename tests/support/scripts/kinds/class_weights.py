"""RMSprop, and weights for classes of which one is rare; one logit and a sigmoid."""

import numpy as np
from tensorflow import keras

np.random.seed(1)
x = np.random.normal(size=(400, 8))
y = (x[:, 0] + 0.3 * np.random.normal(size=400) > 1).astype(int)
rare = y.mean()
model = keras.models.Sequential()
model.add(keras.layers.Dense(16, activation="relu", input_shape=(8,)))
model.add(keras.layers.Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="rmsprop", metrics=["accuracy", keras.metrics.AUC(name="auc")])
model.fit(x, y, epochs=2, batch_size=32, validation_split=0.2, class_weight={0: 1 / (1 - rare), 1: 1 / rare}, verbose=2)
