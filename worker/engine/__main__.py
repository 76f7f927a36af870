"""Training from a shell, without a server: ``python -m worker.engine train ./photos``."""

import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from backend.domain.catalogue import use_lookup
from backend.domain.drawn import with_usual_augmentation
from backend.domain.errors import AppError
from backend.domain.events import (
    EpochFinished,
    EpochsChanged,
    Event,
    ImageSkipped,
    Note,
    PhaseProgress,
    PhaseStarted,
    StageCutShort,
    StageFinished,
    StageSkipped,
    StageStarted,
    StepFinished,
)
from backend.domain.labels.rules import FolderRule, PatternRule, parse_rule
from backend.domain.results import Evaluation, wilson_interval
from backend.domain.splitting import RandomSplit
from backend.domain.training import Recipe, RunIf, StageRequest, TrainingConfig, TrainingRequest, resolve
from backend.timm_lookup import TimmLookup
from worker.engine.data.folder import FolderContent, read_folder
from worker.engine.order import Stopped, TrainingOrder, TrainingResult

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console(highlight=False)

_DEFAULT_WEIGHTS = Path("data/weights")
_DESCRIPTIONS = ".networks"
_INTERRUPTED = 130


@app.callback()
def main() -> None:
    """Train an image classifier from a folder of pictures."""


@app.command()
def train(
    folder: Annotated[Path, typer.Argument(help="Folder of pictures.", exists=True, file_okay=False)],
    pattern: Annotated[
        str | None, typer.Option(help="Regular expression (RE2) on '/' + path, whose group 1 is the label.")
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="A name of ours or timm's.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the first stage.", min=1)] = None,
    recipe: Annotated[Recipe, typer.Option(help="Where the numbers come from.")] = Recipe.RECOMMENDED,
    image_size: Annotated[int | None, typer.Option(help="Pixels, each side.", min=32)] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images per step.", min=2)] = None,
    seed: Annotated[int, typer.Option(help="For split, order, views and head.", min=0)] = 42,
    valid: Annotated[float, typer.Option(help="Share of images held out.", min=0.01, max=0.9)] = 0.2,
    output: Annotated[Path, typer.Option(help="Folder for checkpoints.")] = Path("tellapart-output"),
    weights: Annotated[Path, typer.Option(help="Folder of pretrained weights.")] = _DEFAULT_WEIGHTS,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:1.")] = "auto",
) -> None:
    """Train on FOLDER; labels are the pictures' folder names, or what PATTERN finds."""
    use_lookup(TimmLookup(weights / _DESCRIPTIONS))
    try:
        rule = parse_rule(PatternRule(pattern=pattern) if pattern else FolderRule())
        content = read_folder(folder, rule, RandomSplit(valid=valid, seed=seed))
        request = TrainingRequest(
            architecture=architecture,
            image_size=image_size,
            batch_size=batch_size,
            seed=seed,
            recipe=recipe,
            stages=_stages(recipe, epochs),
        )
        config = resolve(with_usual_augmentation(request, content.drawn))
        result = _train(content, config, output, weights, device)
    except AppError as error:
        console.print(f"[red]{error.message}[/red] {error.advice}")
        raise typer.Exit(1) from error
    except Stopped:
        console.print("Stopped. Finished stages lie in", str(output))
        raise typer.Exit(_INTERRUPTED) from None
    _show_result(result, content)


def _stages(recipe: Recipe, epochs: int | None) -> tuple[StageRequest, ...] | None:
    if epochs is None:
        return None
    own = resolve(TrainingRequest(recipe=recipe)).stages
    following = [stage for stage in own[1:] if stage.run_if is RunIf.ALWAYS]
    return (StageRequest(epochs=epochs), *(StageRequest(freeze=stage.freeze) for stage in following))


class _Interrupt:
    """Ctrl-C as a stop signal; a second one ends the program at once."""

    def __init__(self) -> None:
        self._given = False
        signal.signal(signal.SIGINT, self._give)

    def finish_requested(self) -> bool:
        """Never."""
        return False

    def requested(self) -> bool:
        return self._given

    def _give(self, number: int, frame: FrameType | None) -> None:
        self._given = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _train(content: FolderContent, config: TrainingConfig, output: Path, weights: Path, device: str) -> TrainingResult:
    _show_content(content, config)
    # After the checks of what was typed: torch takes seconds to load.
    from worker.engine import recipe

    with tempfile.TemporaryDirectory() as states, _Screen() as screen:
        order = TrainingOrder(
            manifest=content.manifest,
            config=config,
            open_bytes=content.open_bytes,
            output_folder=output,
            state_folder=Path(states),
            weights_folder=weights,
            device=device,
        )
        return recipe.train(order, on_event=screen.show, stop=_Interrupt())


class _Screen:
    """Prints events: a bar for the work under way, the course's table for finished epochs."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._progress = Progress(*columns, TimeRemainingColumn(), console=console, transient=True)
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> "_Screen":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        match event:
            case Note(text=text) | StageCutShort(reason=text) | StageSkipped(reason=text):
                console.print(f"[yellow]{text}[/yellow]")
            case EpochsChanged(epochs=epochs, planned=planned):
                console.print(f"[yellow]{epochs} of the {planned} planned epochs fit into the time limit[/yellow]")
            case PhaseStarted(text=text):
                self._progress.update(self._task, description=text, completed=0, total=None)
            case PhaseProgress(done=done, total=total):
                self._progress.update(self._task, completed=done, total=total)
            case StepFinished(step=step, steps=steps):
                self._progress.update(self._task, completed=step, total=steps)
            case ImageSkipped(path=path, reason=reason):
                console.print(f"[yellow]skipped[/yellow] {path}: {reason}")
            case StageStarted(stage=stage, freeze=freeze, epochs=epochs, device=device):
                layers = "head only" if freeze else "all layers"
                self._progress.update(self._task, description=f"Stage {stage + 1}", completed=0, total=None)
                console.print(f"\nStage {stage + 1}: {layers}, {epochs} epochs, on {device}")
                console.print("epoch  train_loss  valid_loss  error_rate   time")
            case EpochFinished():
                minutes, seconds = divmod(round(event.duration_s), 60)
                console.print(
                    f"{event.epoch:<5}  {event.train_loss:<10.6f}  {event.valid_loss:<10.6f}  "
                    f"{event.error_rate:<10.6f}  {minutes:02}:{seconds:02}"
                )
            case StageFinished():
                console.print(
                    f"Exported and checked: the same answers as the trained model on {event.parity_agreement:.0%} "
                    f"of {event.parity_images} images (largest difference {event.parity_max_difference:.1e})"
                )
            case _:
                pass


def _show_content(content: FolderContent, config: TrainingConfig) -> None:
    manifest = content.manifest
    console.print(
        f"{len(manifest.images)} images of {len(manifest.classes)} classes; "
        f"{config.architecture}, {config.image_size} px, recipe {config.recipe.value}"
    )
    for paths, reason in (
        (content.unlabelled, "without a label"),
        (content.contradicting, "with a copy of another label"),
    ):
        if paths:
            console.print(f"[yellow]{len(paths)} images {reason}[/yellow] are left out, the first: {paths[0]}")


def _show_result(result: TrainingResult, content: FolderContent) -> None:
    from worker.engine.checkpoints.checkpoint import read_predictions

    evaluation = read_predictions(result.best.folder)
    images = len(evaluation.targets)
    low, high = wilson_interval(evaluation.errors, images)
    console.print(
        f"\n{evaluation.errors} of {images} validation images wrong: {evaluation.errors / images:.1%} "
        f"(95 % interval {low:.1%} to {high:.1%})"
    )
    pairs = Table("actual", "predicted", "times", title="Most confused")
    for pair in evaluation.most_confused(min_count=2)[:10]:
        pairs.add_row(pair.actual, pair.predicted, str(pair.count))
    if pairs.rows:
        console.print(pairs)
    _show_one_prediction(evaluation, content)
    console.print(f"Checkpoint: {result.best.folder}")


def _show_one_prediction(evaluation: Evaluation, content: FolderContent) -> None:
    path = next(image.path for image in content.manifest.images if image.id == evaluation.image_ids[0])
    answer = evaluation.classes[evaluation.predicted[0]]
    console.print(f"Prediction for {path}: {answer} ({evaluation.probabilities[0].max():.1%})")


if __name__ == "__main__":
    sys.exit(app())
