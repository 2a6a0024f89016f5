"""Where the functions of a model come from: Keras models and SavedModels."""
