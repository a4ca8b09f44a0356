"""What MLflow stores as the model's code ("models from code"): no pickled object, only this reference."""

from mlflow.models import set_model

from faceforge.inference.pyfunc import BundleModel

set_model(BundleModel())
