"""The back end of TensorFlow Lite: from traced functions to the bytes of a graph."""
