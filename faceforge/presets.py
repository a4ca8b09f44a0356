"""The presets: for each, the fields that differ from the defaults in `faceforge.config`."""

from __future__ import annotations

from typing import Any

# The recipe of Radford et al. (2016), shared by both DCGAN presets.
_CLASSICAL: dict[str, Any] = {
    "labels": (),
    "loss": "bce",
    "lr_decay": False,
    "gamma": 0.0,
    "gamma_final": 0.0,
    "ema_kimg": 0.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "toy": {
        "summary": "32 px conditional faces in about two minutes on two CPU cores; the default of `make run`",
        "ingest": {"image_size": 32, "holdout": 0.15},
        "model": {"family": "style", "latent_size": 64, "width": 32, "max_width": 128},
        "train": {
            "kimg": 34.0,
            "learning_rate": 1e-3,
            "penalty_interval": 1,
            "gamma": 10.0,
            "gamma_final": 3.0,
            "ema_kimg": 4.0,
        },
        "evaluate": {"classifier_epochs": 3},
    },
    "faces64": {
        "summary": "64 px conditional faces from real photographs; 300 kimg are 20 to 60 minutes on two CPU cores",
        "ingest": {"image_size": 64},
        "augment": {"flip": True},
        "model": {"family": "style", "latent_size": 64, "width": 16, "max_width": 256},
        "train": {
            "kimg": 300.0,
            "batch_size": 32,
            "loss": "bce",
            "learning_rate": 2e-3,
            "penalty_interval": 1,
            "gamma": 10.0,
            "gamma_final": 1.0,
            "ema_kimg": 10.0,
        },
    },
    "faces64-gpu": {
        "summary": "the same with networks of 16 M weights, for a GPU; 4000 kimg are about five minutes on an H200",
        "ingest": {"image_size": 64},
        "augment": {"flip": True},
        "model": {"family": "style", "latent_size": 64, "width": 64, "max_width": 512},
        # Learning rate scaled from `faces64`: times sqrt(2) for twice the batch, by about half for twice the width.
        "train": {
            "kimg": 4000.0,
            "batch_size": 64,
            "loss": "bce",
            "learning_rate": 1e-3,
            "penalty_interval": 1,
            "gamma": 10.0,
            "gamma_final": 1.0,
            "ema_kimg": 50.0,
        },
    },
    "dcgan64": {
        "summary": "the unconditional DCGAN of Radford et al. (2016) at 64 px: batch norm, Adam 2e-4, BCE",
        "ingest": {"image_size": 64},
        "model": {"family": "dcgan", "latent_size": 100, "width": 64, "max_width": 512},
        "train": {**_CLASSICAL, "kimg": 500.0, "batch_size": 128, "learning_rate": 2e-4, "beta1": 0.5, "beta2": 0.999},
    },
    "dcgan128": {
        "summary": "an unconditional DCGAN at 128 px: latent 100, RMSprop 1e-4, BCE, batch 32, 30 epochs",
        "ingest": {"image_size": 128},
        "model": {"family": "dcgan", "latent_size": 100, "width": 32, "max_width": 512},
        "train": {
            **_CLASSICAL,
            "epochs": 30.0,
            "batch_size": 32,
            "optimizer": "rmsprop",
            "learning_rate": 1e-4,
            "beta2": 0.9,
        },
    },
    "digits": {
        "summary": "32 px greyscale, 10 classes: handwritten digits, for the sources `digits` and `tfds:mnist`",
        "ingest": {"image_size": 32, "channels": 1},
        "model": {"latent_size": 64, "width": 32, "max_width": 128},
        "train": {"kimg": 60.0},
    },
}
