"""Programs that train beside Keras' own `fit`."""
