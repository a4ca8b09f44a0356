"""The code that MLflow stores with a model ("models from code") in place of a pickled object."""

from mlflow.models import set_model

from faceforge.inference.pyfunc import BundleModel

set_model(BundleModel())
