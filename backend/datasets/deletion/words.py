"""What pages say of what was deleted and restored."""

from backend.datasets.deletion.bin import Binned, Restored
from backend.datasets.deletion.bin_repository import DAYS_KEPT, BinKind
from backend.templating import counted


def binned_words(binned: Binned) -> str:
    """How many pictures went into the bin, and how many were skipped."""
    are = "is" if binned.images == 1 else "are"
    words = f"{counted(binned.images, 'picture')} {are} in the bin for {DAYS_KEPT} days."
    return f"{words} {skipped_words(binned.skipped)}" if binned.skipped else words


def skipped_words(skipped: int) -> str:
    """Why pictures that were asked for weren't deleted."""
    was, is_not = ("was", "isn't") if skipped == 1 else ("were", "aren't")
    return f"{skipped:,} {was} skipped, because {'it' if skipped == 1 else 'they'} {is_not} in the dataset any more."


def restored_words(restored: Restored) -> str:
    """What came back."""
    if restored.kind is BinKind.DATASET:
        return f"“{restored.dataset}” is back."
    return (
        f"{counted(restored.images, 'picture')} {'is' if restored.images == 1 else 'are'} back in “{restored.dataset}”."
    )
