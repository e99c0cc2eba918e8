"""How does the batch size affect the accuracy? Adam on one hidden layer, one batch size after another.

    batchscale study example_2.py --batches 32,128,512 --rules constant,sqrt

As example_1.py, whose first lines say what is wrong with the loop.
"""

import keras

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, x_test = x_train / 255.0, x_test / 255.0

model = keras.Sequential([
    keras.Input((28, 28)),
    keras.layers.Flatten(),
    keras.layers.Dense(128, activation="relu"),
    keras.layers.Dense(10),
])

for batch_size in (32, 128, 512, 2048):
    model.compile(optimizer="adam", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                  metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=batch_size, epochs=10, validation_data=(x_test, y_test))
    print(f"batch size {batch_size}: test accuracy {history.history['val_accuracy'][-1]:.4f}")
