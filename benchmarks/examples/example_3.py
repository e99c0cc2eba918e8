"""How does the batch size affect the accuracy? Adam on three hidden layers and handwritten digits.

    batchscale study example_3.py --batches 32,512,2048

As example_1.py, whose first lines say what is wrong with the loop. Its mnist.npz is what keras.datasets downloads.
"""

import keras

(x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
x_train, x_test = x_train.reshape(-1, 784) / 255.0, x_test.reshape(-1, 784) / 255.0
y_train, y_test = keras.utils.to_categorical(y_train), keras.utils.to_categorical(y_test)

inputs = keras.Input((784,))
hidden = inputs
for units in (512, 256, 128):
    hidden = keras.layers.Dense(units, activation="relu")(hidden)
model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))

for batch_size in (32, 512, 1024):
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=batch_size, epochs=10, validation_data=(x_test, y_test))
    print(f"batch size {batch_size}: test accuracy {history.history['val_accuracy'][-1]:.4f}")
