"""Defaults of the parameters that commands, pipelines and steps share."""

SOURCE = "toyfaces"
PRESET = "toy"
EXPERIMENT = "faceforge"
MODEL_NAME = "faceforge"
CHAMPION_URI = f"models:/{MODEL_NAME}@champion"
