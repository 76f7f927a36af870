"""Pictures whose several names give different labels: the same bytes were added under two classes."""

from backend.datasets.labels.content import DatasetContent
from backend.datasets.labels.corrections import corrected, rule_or_by_hand
from backend.domain.labels.rules import apply_rule


def other_labels(content: DatasetContent) -> dict[str, str]:
    """By image id, the first label that another of its names gives; none where somebody has decided."""
    labels = corrected(content, rule_or_by_hand(content).labelled)
    if not labels.conflicts:
        return {}
    # All names at once, because what a pattern gives for them is remembered.
    by_name = apply_rule(labels.rule, content.names.paths).labels
    named = {image.id: [by_name[path] for path in image.paths if path in by_name] for image in labels.conflicts}
    return {
        image_id: next(name for name in names if name != names[0])
        for image_id, names in named.items()
        if len({*names}) > 1
    }
