"""The HTTP service behind `faceforge serve`: a model that draws, interpolates and rates images on request."""
