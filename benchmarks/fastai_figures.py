"""Figures of fastai's own, for our tests to compare with: ``python -m benchmarks.fastai_figures FILE [KEY ...]``.

Run in an interpreter that has fastai; none of ours is imported. Inputs are
formulas rather than random numbers, so that a test can write them down again.
Without keys all figures are taken.
"""

import contextlib
import json
import math
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import fastai
import fastai.vision.all as fv
import torch
import torchvision
from fastai.callback.schedule import minimum, slide, steep, valley
from fastai.vision.augment import Warp

Figures = Any
"""JSON values."""

_POINTS: Final = 85
"""What fastai's finder passes to its suggestions of 100 steps: all but the first 10 and the last 5."""


def lr_finder() -> Figures:
    """Learning rates of the four suggestions for each curve; null where fastai itself fails."""
    return [_suggestions(name, *curve) for name, curve in _curves().items()]


def _curves() -> dict[str, tuple[list[float], list[float]]]:
    rates = [1e-7 * 1e8 ** (step / 100) for step in range(10, 10 + _POINTS)]
    place = [step / (_POINTS - 1) for step in range(_POINTS)]
    bowl = [3.6 - 2.4 / (1 + math.exp(-14 * (x - 0.55))) + 40 * max(0.0, x - 0.85) ** 2 for x in place]
    noisy = [loss + 0.05 * math.sin(37 * x) + 0.03 * math.cos(91 * x) for x, loss in zip(place, bowl, strict=True)]
    return {
        "a bowl": (rates, bowl),
        "a bowl with noise": (rates, noisy),
        "falling to the end": (rates, [4 - 3 * x**2 for x in place]),
        "rising from the start": (rates, [1 + 3 * x**2 for x in place]),
        "flat": (rates, [2.0 for _ in place]),
        "two valleys": (rates, [3 - math.sin(9 * x) - x for x in place]),
        "a late cliff": (rates, [2 - 0.5 * x - (1 if x > 0.9 else 0) for x in place]),
        "falls late and bursts": (rates, [2 - 4 * max(0.0, x - 0.6) ** 2 + 900 * max(0.0, x - 0.97) for x in place]),
        "tiny losses": (rates, [1e-3 * loss for loss in noisy]),
        "twenty points": (rates[::4][:20], noisy[::4][:20]),
        "exactly sixteen points": (rates[:16], noisy[40:56]),
        "six points": (rates[:6], noisy[50:56]),
        "two points": (rates[:2], noisy[50:52]),
        "one point": (rates[:1], noisy[:1]),
    }


def _suggestions(name: str, rates: list[float], losses: list[float]) -> Figures:
    # As fastai does: both become float32.
    given = torch.tensor(rates), torch.tensor(losses)
    rows: dict[str, Figures] = {"name": name, "learning_rates": rates, "losses": losses}
    for suggest in (valley, steep, minimum, slide):
        try:
            rows[suggest.__name__] = float(suggest(*given, 100)[0])
        except (IndexError, RuntimeError, ValueError):
            rows[suggest.__name__] = None
    return rows


class _Finished:
    """Stands for a learner whose finder has run: fastai's ``lr_find`` then only cuts the curve and suggests."""

    def __init__(self, rates: list[float], losses: list[float]) -> None:
        self.dls = SimpleNamespace(train=[None] * 10)
        self.recorder = SimpleNamespace(lrs=rates, losses=losses)

    no_logging = contextlib.nullcontext

    def fit(self, epochs: int, cbs: object) -> None:
        """Nothing is left to do."""


def lr_find_cuts() -> Figures:
    """Whole recorded curves, and what ``lr_find`` suggests after it has cut them; no number is null."""
    rates = [1e-7 * 1e8 ** (step / 100) for step in range(100)]
    losses = [3.6 - 2.4 / (1 + math.exp(-0.14 * (step - 55))) + 0.004 * max(0.0, step - 80) ** 2 for step in range(100)]
    curves = {
        "all steps": (rates, losses),
        "stopped after 83 steps": (rates[:83], losses[:83]),
        "no number from step 70 on": (rates, [*losses[:70], *[math.nan] * 30]),
        "no number in the last one, which is cut anyway": (rates, [*losses[:99], math.nan]),
        "one number missing in the middle": (rates, [*losses[:60], math.nan, *losses[61:]]),
    }
    return [_cut(name, *curve) for name, curve in curves.items()]


def _cut(name: str, rates: list[float], losses: list[float]) -> Figures:
    suggested = fv.Learner.lr_find(
        _Finished(rates, losses), num_it=100, show_plot=False, suggest_funcs=(valley, steep, minimum, slide)
    )
    known = [None if math.isnan(loss) else loss for loss in losses]
    return {"name": name, "steps": 100, "learning_rates": rates, "losses": known, **suggested._asdict()}


_CLASSES: Final = 37


def head() -> Figures:
    """fastai's head, layer by layer, as it begins."""
    built = fv.create_head(512, _CLASSES)
    fv.apply_init(built, torch.nn.init.kaiming_normal_)
    return [_layer(layer) for layer in built]


def _layer(layer: Any) -> Figures:
    kind = type(layer).__name__
    match layer:
        case torch.nn.BatchNorm1d():
            first = {"weight": layer.weight[0].item(), "bias": layer.bias[0].item()}
            return {"kind": kind, "features": layer.num_features, "eps": layer.eps, "momentum": layer.momentum, **first}
        case torch.nn.Dropout():
            return {"kind": kind, "p": layer.p}
        case torch.nn.Linear():
            shape = {"inputs": layer.in_features, "outputs": layer.out_features, "bias": layer.bias is not None}
            weight = layer.weight.detach()
            # Random weights: the mean of many draws estimates the spread well.
            spread = [_spread(layer) for _ in range(20)]
            return {"kind": kind, **shape, "std": sum(spread) / len(spread), "largest": float(weight.abs().max())}
        case _:
            return {"kind": kind}


def _spread(layer: Any) -> float:
    return float(torch.nn.init.kaiming_normal_(torch.empty_like(layer.weight)).std())


def layer_groups() -> Figures:
    """Tensors and parameters of each layer group, lowest first, and what a frozen network still learns."""
    groups = {}
    for name in ("resnet18", "resnet34", "resnet50"):
        build = getattr(torchvision.models, name)
        model = fv.create_vision_model(build, _CLASSES, pretrained=False)
        groups[name] = _groups(model, fv.model_meta[build]["split"])
    model, _ = fv.create_timm_model("tf_efficientnet_lite0", _CLASSES, pretrained=False)
    groups["efficientnet-lite0"] = _groups(model, fv.default_split)
    return groups


def _groups(model: Any, split: Any) -> Figures:
    learner = _learner(model, split)
    learner.freeze()
    return [
        {
            "tensors": len(group),
            "parameters": sum(parameter.numel() for parameter in group),
            "learning_when_frozen": sum(parameter.numel() for parameter in group if parameter.requires_grad),
            "not_decaying": sum(
                parameter.numel() for parameter in group if not learner.opt.state[parameter].get("do_wd", True)
            ),
        }
        for group in learner.opt.param_lists
    ]


def _learner(model: Any, split: Any, loaders: Any = None, **given: Any) -> Any:
    loss = fv.CrossEntropyLossFlat()
    return fv.Learner(loaders or fv.DataLoaders([], []), model, loss_func=loss, splitter=split, **given)


def adam() -> Figures:
    """A vector after each of ten steps of fastai's default optimizer, rate and momentum changing as in a schedule."""
    vector = torch.nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 0.0]))
    optimizer = fv.Adam([[vector]], lr=1e-3)
    steps = []
    for step in range(10):
        rate, momentum = 1e-3 * (1 + step), 0.95 - 0.01 * step
        vector.grad = torch.tensor([math.sin(step + place) for place in range(4)])
        optimizer.set_hyper("lr", rate)
        optimizer.set_hyper("mom", momentum)
        optimizer.step()
        steps.append({"rate": rate, "momentum": momentum, "vector": vector.detach().tolist()})
    hypers = {key: value for key, value in optimizer.hypers[0].items() if key in {"sqr_mom", "eps", "wd"}}
    return {"hypers": hypers, "steps": steps}


def spread_rates() -> Figures:
    """Rates of the layer groups for what can be given as ``lr_max``."""
    given = {"0.001": 1e-3, "slice(0.002)": slice(2e-3), "slice(1e-6, 1e-4)": slice(1e-6, 1e-4)}
    rows = []
    for groups in (2, 3, 4):
        optimizer = fv.Adam([[torch.nn.Parameter(torch.zeros(1))] for _ in range(groups)], lr=1e-3)
        for name, rate in given.items():
            optimizer.set_hyper("lr", rate)
            rows.append({"given": name, "groups": groups, "rates": [float(hyper["lr"]) for hyper in optimizer.hypers]})
    return rows


def schedules() -> Figures:
    """Rate of each layer group and momentum at every step of two fits, 7 steps an epoch."""
    cycle, tune = _recorded(), _recorded()
    with cycle.no_bar(), cycle.no_logging():
        cycle.fit_one_cycle(4, slice(1e-5, 1e-3))
    with tune.no_bar(), tune.no_logging():
        tune.fine_tune(4)
    return {"fit_one_cycle(4, slice(1e-5, 1e-3))": cycle.steps, "fine_tune(4)": tune.steps}


def _recorded() -> Any:
    learner = _tiny_learner(steps=7)
    learner.steps = []
    learner.add_cb(_Steps())
    return learner


class _Steps(fv.Callback):  # type: ignore[misc]  # fastai has no types
    """Notes rates and momentum at every step, after the schedule has set them."""

    order = 70

    def before_batch(self) -> None:
        """Note, unless it validates."""
        if self.training:
            hypers = self.opt.hypers
            self.learn.steps.append({"rates": [float(h["lr"]) for h in hypers], "momentum": float(hypers[-1]["mom"])})


TINY_CLASSES: Final = 3


def tiny_body() -> Any:
    """The backbone of ``tests.fixtures.engine.build_tiny``, with weights by formula."""
    low = torch.nn.Sequential(*_block(3))
    high = torch.nn.Sequential(*_block(8))
    return torch.nn.Sequential(low, high)


def _block(channels: int) -> list[Any]:
    conv = torch.nn.Conv2d(channels, 8, 3, stride=2, padding=1, bias=False)
    return [conv, torch.nn.BatchNorm2d(8), torch.nn.ReLU()]


def fill_by_formula(model: Any) -> None:
    """Every matrix gets a wave of its own: a test can write the same numbers down."""
    with torch.no_grad():
        for place, parameter in enumerate(parameter for parameter in model.parameters() if parameter.ndim > 1):
            wave = torch.sin((1.7 + place) * torch.arange(parameter.numel(), dtype=torch.float64))
            parameter.copy_((wave * (2 / parameter[0].numel()) ** 0.5).float().reshape(parameter.shape))


def tiny_batches(steps: int) -> list[tuple[Any, Any]]:
    """So many batches of eight images of 16 pixels, by formula."""
    count = steps * 8
    waves = torch.sin(0.37 * torch.arange(count * 3 * 16 * 16, dtype=torch.float64) ** 1.1)
    images = waves.float().reshape(count, 3, 16, 16)
    return [(image, torch.tensor(place % TINY_CLASSES)) for place, image in enumerate(images)]


def _tiny_learner(*, steps: int, **given: Any) -> Any:
    body = tiny_body()
    # No dropout: its random numbers would have to be equal too.
    model = torch.nn.Sequential(body, fv.create_head(8, TINY_CLASSES, ps=0.0))
    fill_by_formula(model)
    items = tiny_batches(steps)
    loaders = fv.DataLoaders(
        *[fv.DataLoader(items, bs=8, shuffle=False, num_workers=0) for _ in range(2)], device="cpu"
    )
    return _learner(model, lambda model: [fv.params(part) for part in (*model[0], model[1])], loaders, **given)


_FROZEN: Final = {"freeze": True, "epochs": 2, "max_lr": 1e-2}
_ALL_LAYERS: Final = {"freeze": False, "epochs": 2, "max_lr": [1e-4, 1e-2]}


def training() -> Figures:
    """Losses and weights of whole trainings without chance, to be repeated step by step."""
    return {
        "frozen, batch norm learning": _trained(_FROZEN),
        "all layers": _trained(_ALL_LAYERS),
        "frozen, then all layers": _trained(_FROZEN, _ALL_LAYERS),
    }


def _trained(*stages: dict[str, Any]) -> Figures:
    learner, losses = _tiny_learner(steps=3), _Losses()
    learning, smoothed, validation = [], [], []
    for stage in stages:
        rate = stage["max_lr"]
        with learner.no_bar(), learner.no_logging():
            learner.freeze() if stage["freeze"] else learner.unfreeze()
            learning.append([key for key, parameter in learner.model.named_parameters() if parameter.requires_grad])
            learner.fit_one_cycle(stage["epochs"], slice(*rate) if isinstance(rate, list) else slice(rate), cbs=losses)
        smoothed.append([float(loss) for loss in learner.recorder.losses])
        validation.append([float(row[1]) for row in learner.recorder.values])
    return {
        "stages": list(stages),
        "learning": learning,
        "losses": losses.raw,
        "smoothed": smoothed,
        "validation": validation,
        "weights": {key: _digest(tensor) for key, tensor in learner.model.state_dict().items()},
    }


def _digest(tensor: Any) -> Figures:
    """A few numbers that change when any weight does."""
    flat = tensor.double().flatten()
    wave = torch.cos(torch.arange(flat.numel(), dtype=torch.float64))
    return [float(flat.sum()), float(flat.abs().sum()), float((flat * wave).sum())]


class _Losses(fv.Callback):  # type: ignore[misc]  # as above
    """Notes the raw loss of every step."""

    def __init__(self) -> None:
        self.raw: list[float] = []

    def after_loss(self) -> None:
        """Note, unless it validates."""
        if self.training:
            self.raw.append(float(self.loss_grad.detach()))


def lr_find_steps() -> Figures:
    """Rates tried and smoothed losses of fastai's finder on the tiny network, and that it leaves the weights alone."""
    learner = _tiny_learner(steps=7)
    learner.model_dir = tempfile.mkdtemp()
    before = {key: tensor.clone() for key, tensor in learner.model.state_dict().items()}
    losses = _Losses()
    learner.add_cb(losses)
    with learner.no_bar():
        learner.lr_find(show_plot=False)
    after = learner.model.state_dict()
    return {
        "rates": [float(rate) for rate in learner.recorder.lrs],
        "losses": losses.raw,
        "smoothed": [float(loss) for loss in learner.recorder.losses],
        "momentum": float(learner.opt.hypers[-1]["mom"]),
        "changed": [key for key, tensor in before.items() if not torch.equal(tensor, after[key])],
    }


_DRAWS: Final = 40_000


def augmentation() -> Figures:
    """What ``aug_transforms()`` draws: largest and smallest value of each change, and how often it happens."""
    torch.manual_seed(1)
    affine, lighting = fv.aug_transforms()
    images = torch.zeros(_DRAWS, 3, 2, 2)
    flip, turn, zoom = [matrix(images) for matrix in affine.aff_fs]
    (warp,) = affine.coord_fs
    warp.before_call(images)
    brightness, contrast = lighting.fs
    for change in (brightness, contrast):
        change.before_call(images)
    share = zoom[:, 0, 0]
    zoomed = share != 1
    return {
        "mirrored": _drawn(flip[:, 0, 0] < 0),
        "turn": _drawn(torch.rad2deg(torch.atan2(turn[:, 0, 1], turn[:, 0, 0]))),
        "zoom": _drawn(1 / share, plain=1.0),
        "centre_x": _drawn((zoom[:, 0, 2] / (1 - share))[zoomed]),
        "centre_y": _drawn((zoom[:, 1, 2] / (1 - share))[zoomed]),
        "tilt_x": _drawn(1 + warp.targ_pts[:, 1, 1] - 2),
        "tilt_y": _drawn(1 + warp.targ_pts[:, 1, 0]),
        "both_tilts": _drawn((warp.targ_pts[:, 1, 1] != 1) & (warp.targ_pts[:, 1, 0] != -1)),
        "brightness": _drawn(brightness.change, plain=0.5),
        "log_contrast": _drawn(contrast.change.log()),
    }


def _drawn(values: Any, plain: float = 0.0) -> Figures:
    values = values.double().as_subclass(torch.Tensor)
    happened = values[(values - plain).abs() > 1e-6]
    quarters = torch.quantile(happened, torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64))
    return {
        "share": len(happened) / len(values),
        "smallest": float(happened.min()),
        "largest": float(happened.max()),
        "quarters": quarters.tolist(),
    }


_MOVEMENTS: Final = {
    "zoom": {"zoom": 1.07, "centre": [-0.4, 0.6]},
    "turn": {"turn": 7.0},
    "mirrored": {"mirrored": True},
    "tilt": {"tilt": [0.13, -0.06]},
    "all": {"zoom": 1.07, "centre": [-0.4, 0.6], "turn": 7.0, "mirrored": True, "tilt": [0.13, -0.06]},
}


def movements() -> Figures:
    """Where fastai looks, at 5 x 5 places of the view in [-1, 1], for changes that are given instead of drawn."""
    return [{"movement": given, "places": _places(given, 5).tolist()} for given in _MOVEMENTS.values()]


def _places(given: Figures, side: int, *, align_corners: bool = True) -> Any:
    image = torch.zeros(1, 3, side, side)
    matrix = _transform(given)._get_affine_mat(image)  # the matrices in fastai's own order
    coords = fv.affine_grid(matrix, (1, 3, side, side), align_corners=align_corners)
    tilt = given.get("tilt", [0, 0])
    warp = Warp(p=1.0, draw_x=tilt[0], draw_y=tilt[1])
    (tilted,) = warp.coord_fs
    tilted.before_call(image)
    return tilted(coords).as_subclass(torch.Tensor)[0].reshape(-1, 2).double()


def _transform(given: Figures) -> Any:
    centre = [(1 + place) / 2 for place in given.get("centre", [0, 0])]
    flip = fv.Flip(p=1.0, draw=1 if given.get("mirrored") else 0)
    flip.compose(fv.Rotate(p=1.0, draw=given.get("turn", 0.0)))
    flip.compose(fv.Zoom(p=1.0, draw=given.get("zoom", 1.0), draw_x=centre[0], draw_y=centre[1]))
    flip.split_idx = 0
    return flip


def lighting() -> Figures:
    """What levels become by fastai's change of brightness and contrast."""
    rows = []
    for brightness, contrast in ((0.4, 1.0), (0.6, 1.0), (0.5, 0.8), (0.5, 1.25), (0.57, 1.15)):
        levels = fv.TensorImage((torch.arange(0, 256, 15) / 255).reshape(1, 1, 1, -1).expand(1, 3, 1, -1).clone())
        lit = fv.Brightness(p=1.0, draw=brightness)
        lit.compose(fv.Contrast(p=1.0, draw=contrast))
        lit.before_call(levels, 0)
        lit_levels = lit.encodes(levels).as_subclass(torch.Tensor)
        row = {"brightness": brightness, "contrast": contrast, "levels": list(range(0, 256, 15))}
        rows.append({**row, "become": (255 * lit_levels[0, 0, 0]).tolist()})
    return rows


_INSIDE: Final = {"zoom": 1.5, "centre": [0.1, 0.2], "turn": 7.0, "mirrored": True}
"""A movement that looks at nothing beyond the picture's border."""


def interpolation() -> Figures:
    """A smooth picture of 32 x 32, moved by fastai at the same size: its pixels in [0, 255]."""
    side = 32
    y, x = torch.meshgrid(torch.arange(side) / side, torch.arange(side) / side, indexing="ij")
    image = (127.5 + 100 * torch.sin(5 * x) * torch.cos(4 * y)).round()[None, None] / 255
    seen = {}
    for name, align_corners in (("corners are centres of pixels (fastai)", True), ("corners are edges", False)):
        places = _places(_INSIDE, side, align_corners=align_corners).float().reshape(1, side, side, 2)
        moved = fv.TensorImage(image)
        sampled = torch.nn.functional.grid_sample(
            moved.as_subclass(torch.Tensor), places, padding_mode="reflection", align_corners=align_corners
        )
        seen[name] = [round(value, 2) for value in (255 * sampled).flatten().tolist()]
    return {"movement": _INSIDE, "side": side, "seen": seen}


ALL: Final[dict[str, Callable[[], Figures]]] = {
    figures.__name__: figures
    for figures in (
        lr_finder,
        lr_find_cuts,
        lr_find_steps,
        head,
        layer_groups,
        adam,
        spread_rates,
        schedules,
        training,
        augmentation,
        movements,
        lighting,
        interpolation,
    )
}


def main(file: Path, keys: list[str]) -> None:
    """Compute the figures and add them to the file."""
    content = json.loads(file.read_text("utf-8")) if file.exists() else {}
    content["source"] = {
        "fastai": fastai.__version__,
        "torch": torch.__version__,
        "made_by": "python -m benchmarks.fastai_figures tests/fixtures/fastai_figures.json",
    }
    for key in keys or ALL:
        content[key] = ALL[key]()
        print(key)
    file.write_text(json.dumps(content, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
