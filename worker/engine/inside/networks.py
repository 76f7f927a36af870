"""The network of a checkpoint, and the pretrained one that it was made of."""

from dataclasses import dataclass

from backend.domain.events import Event
from backend.domain.inside import Comparison, InsideOrder
from backend.domain.training import TrainingConfig
from backend.imaging.preprocessing import Preprocessing
from worker.engine.checkpoints import checkpoint
from worker.engine.errors import WeightsUnavailable, WeightsUnsuitable
from worker.engine.inside.changes import comparison_of, weight_change
from worker.engine.inside.positions import Layout
from worker.engine.network import architectures, weights
from worker.engine.network.architectures import Classifier
from worker.engine.order import NeverStop


@dataclass(frozen=True, slots=True)
class Networks:
    """The checkpoint's network, and the pretrained one where its layers are others."""

    after: Classifier
    before: Classifier | None
    layout: Layout
    preprocessing: Preprocessing
    comparison: Comparison

    @classmethod
    def of(cls, order: InsideOrder) -> "Networks":
        """Those of an order.

        Raises:
            CheckpointUnusable
        """
        content = checkpoint.read(order.checkpoint)
        config = TrainingConfig.model_validate(content.content["config"])
        after = _built(config, len(content.classes))
        after.load_state_dict(dict(content.weights))
        before = _pretrained(order, config, len(content.classes))
        comparison = Comparison.UNAVAILABLE if before is None else comparison_of(before, after)
        if comparison is Comparison.UNCHANGED:
            before = None
        return cls(
            after, before, Layout.of(after), Preprocessing.from_json(content.content["preprocessing"]), comparison
        )

    def weight_change(self, block: int) -> float | None:
        """How far the weights of a block (from 0) are from the pretrained ones; None where that isn't known."""
        if self.comparison is Comparison.UNAVAILABLE:
            return None
        if self.before is None:
            return 0.0
        return weight_change(self.before.blocks()[block], self.after.blocks()[block])


def _pretrained(order: InsideOrder, config: TrainingConfig, classes: int) -> Classifier | None:
    if order.weights is None:
        return None
    try:
        named = weights.weights_named(config.entry, order.weights)
        loaded = weights.load(config.entry, named, order.weights_folder, on_event=_ignore, stop=NeverStop())
        return _built(config, classes, loaded)
    except (WeightsUnavailable, WeightsUnsuitable):
        return None


def _built(config: TrainingConfig, classes: int, pretrained: architectures.Weights | None = None) -> Classifier:
    bias = config.last_layer_bias
    network = architectures.build(config.entry, classes, last_layer_bias=bias, seed=0, pretrained=pretrained)
    return network.eval().requires_grad_(False)


def _ignore(_event: Event) -> None:
    pass
