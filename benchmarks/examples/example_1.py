"""How does the batch size affect the accuracy? SGD on one hidden layer, one batch size after another.

An ordinary Keras script, which knows nothing of Batchscale:

    python example_1.py                                       as it stands
    batchscale study example_1.py --batches 32,128,512 --rules constant,linear

It compiles the model again for each batch size and never builds it anew: every round but the first goes on from the
weights of the round before. The study trains each batch from fresh weights, repeats the script's own way beside it, and
says in its report how the two differ.
"""

import keras

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train, x_test = x_train / 255.0, x_test / 255.0

model = keras.Sequential([
    keras.Input((28, 28)),
    keras.layers.Flatten(),
    keras.layers.Dense(128, activation="relu"),
    keras.layers.Dense(10, activation="softmax"),
])

for batch_size in (32, 128, 512, len(x_train)):
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x_train, y_train, batch_size=batch_size, epochs=10, validation_data=(x_test, y_test))
    print(f"batch size {batch_size}: test accuracy {history.history['val_accuracy'][-1]:.4f}")
