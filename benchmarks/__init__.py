"""How fast and how good a training is beside fastai's, measured on one machine."""
