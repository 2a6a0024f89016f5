"""The maths of the layers: one interface, a TensorFlow and a NumPy implementation."""
