"""Using trained models: load, sample, edit and score, as a bundle, an ONNX file or an MLflow model."""
