"""Evaluation of a stage's finished model on the validation and test images."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from backend.domain.events import OnEvent, Phase, PhaseProgress, PhaseStarted
from backend.domain.results import Evaluation
from worker.engine.data.batches import LabelledImages, Views
from worker.engine.data.source import Unreadable
from worker.engine.frozen import compute, features
from worker.engine.frozen.features import ViewRequest
from worker.engine.loop import evaluation
from worker.engine.loop.context import Training
from worker.engine.loop.run import StageRun

PLAIN_SHARE: Final = 0.25
"""Weight of the plain view beside random ones. Source: fastai ``tta`` beta."""


def evaluate_splits(training: Training, run: StageRun, plain: Evaluation) -> dict[str, Evaluation]:
    """The answers that go into the checkpoint, by split; ``plain`` are those to the plain validation images.

    With test-time views the answers to random views are mixed in. Source: fastai ``tta``.
    """
    images = training.images
    random = {"valid": _random_views(training, images.valid), "test": _random_views(training, images.test)}
    test = [ViewRequest(Views(images.source, images.test))] if len(images.test) else []
    answers = _answers(training, run, [*test, *random["valid"], *(random["test"] if test else [])])
    found = {"valid": plain}
    if test:
        found["test"] = answers.pop(0)
    for split, its_plain in found.items():
        its_random = [answers.pop(0) for _ in random[split]]
        found[split] = mixed(its_plain, its_random)
    return found


def mixed(plain: Evaluation, random: Sequence[Evaluation]) -> Evaluation:
    """A quarter of the plain answer and three of the mean of those to random views; without any, the plain one."""
    if not random:
        return plain
    row_of = {image: row for row, image in enumerate(plain.image_ids)}
    total = np.zeros_like(plain.probabilities)
    times = np.zeros((len(row_of), 1), np.float32)
    for one in random:
        for image, probabilities in zip(one.image_ids, one.probabilities, strict=True):
            if image in row_of:
                total[row_of[image]] += probabilities
                times[row_of[image]] += 1
    # What can't be read any more keeps its plain answer.
    mean = np.where(times > 0, total / np.maximum(times, 1), plain.probabilities)
    together = PLAIN_SHARE * plain.probabilities + (1 - PLAIN_SHARE) * mean
    return replace(plain, probabilities=together.astype(np.float32))


def _random_views(training: Training, labelled: LabelledImages) -> list[ViewRequest]:
    config = training.order.config
    views = Views(training.images.source, labelled, augmentation=config.augmentation, seed=config.seed)
    return [ViewRequest(views, view) for view in range(config.test_time_views)]


def _answers(training: Training, run: StageRun, requests: Sequence[ViewRequest]) -> list[Evaluation]:
    """The model's answers to each of these requests."""
    model, classes = run.model, training.order.manifest.classes
    total = sum(len(one.views.labelled) for one in requests)
    if not total:
        return []
    width = training.order.config.entry.features
    if run.stage.features_are_constant and features.fit_into_memory(total, width, 1):
        kept = [features.from_features(one) for one in compute.features_of(training, requests)]
        return [
            evaluation.evaluate(model, answers, one.views.labelled, classes, on_batch=_ignore)
            for answers, one in zip(kept, requests, strict=True)
        ]
    training.on_event(PhaseStarted(Phase.EVALUATION, f"Evaluating {total:,} images"))
    found, before = [], 0
    for one in requests:
        labelled = one.views.labelled
        answers = evaluation.from_images(
            one.views, training.preprocessing, training.device, training.limits, view=one.view
        )
        watch = training.watch(partial(_report, training.on_event, before, total), len(labelled))
        found.append(evaluation.evaluate(model, answers, labelled, classes, on_batch=watch, ranks=training.ranks))
        before += len(labelled)
    training.name_skipped()
    return found


def _report(on_event: OnEvent, before: int, total: int, done: int) -> None:
    on_event(PhaseProgress(Phase.EVALUATION, before + done, total))


def _ignore(done: int, unreadable: list[Unreadable]) -> None:
    pass
