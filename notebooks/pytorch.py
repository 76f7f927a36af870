"""The cells of the notebook that repeats a training, in plain PyTorch.

A cell begins with ``# %%``; one of text with ``# %% [markdown]``, its lines as comments. ``when=`` names the trait that a
training must have for the cell to be in its notebook. ``RUN``, ``DATA``, ``WEIGHTS`` and ``START`` are set by cells that
``backend/training/exports/notebook.py`` makes of the training's record, as are the cells that train each stage.
"""

# %%
import copy
import io
import json
import math
import zipfile
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import nn
from torch.nn import functional as F

device = "cuda" if torch.cuda.is_available() else "cpu"

# %% [markdown]
# ## The pictures
# The ZIP has every picture in a folder of its side and class, and `tellapart.json` with the label and side of each. They
# are taken in the order of their SHA-256, so that the random numbers below meet the same pictures as in the training.

# %%
archive = zipfile.ZipFile(DATA)
known = json.loads(archive.read("tellapart.json"))
assert known["version"]["id"] == RUN["version"], f"{DATA} is another version than the one trained on."
classes = known["classes"]
pictures = sorted(known["images"], key=lambda picture: picture["sha256"])
pictures = [picture for picture in pictures if picture["sha256"] not in RUN["unreadable"]]
train, valid = ([one for one in pictures if one["split"] == side] for side in ("train", "valid"))
train_targets, valid_targets = (
    torch.tensor([classes.index(one["label"]) for one in side], device=device) for side in (train, valid)
)
print(f"{len(classes)} classes, {len(train)} pictures to learn from, {len(valid)} held out")

# %% [markdown]
# ## From a file to pixels
# A picture is turned upright, brought to sRGB, put on white, and resized so that its short side fits. When nothing is
# random, the network sees the square in its middle.


# %%
def opened(picture, short_side):
    """The picture, upright RGB; a large JPEG is read smaller, which is much faster and hardly differs."""
    image = Image.open(io.BytesIO(archive.read(picture["file"])))
    for scale in (8, 4, 2):
        is_even = image.width % scale == image.height % scale == 0
        if image.format == "JPEG" and min(image.size) >= scale * 2 * short_side and is_even:
            image.draft(None, (image.width // scale, image.height // scale))
            break
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image).convert("RGB")
    elif profile and image.mode in ("RGB", "CMYK"):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), intent, "RGB")
    return image.convert("RGB")


def resized(picture, size):
    """The picture with a short side a little longer than the square that is cut out of it."""
    short_side = round(size / RUN["crop_share"])
    image = opened(picture, short_side)
    width, height = (min(side, 8 * min(image.size)) for side in image.size)  # the middle of very long ones
    left, top = (image.width - width) // 2, (image.height - height) // 2
    image = image.crop((left, top, left + width, top + height))
    scale = short_side / min(image.size)
    sides = tuple(max(short_side, round(side * scale)) for side in image.size)
    return image if image.size == sides else image.resize(sides, Image.Resampling.BILINEAR, reducing_gap=3.0)


def plain_view(picture, size):
    image = resized(picture, size)
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return np.array(image.crop((left, top, left + size, top + size)))


def to_input(views):
    """(N, H, W, 3) pixels -> (N, 3, H, W), normalised as the pretrained weights want it."""
    mean, std = (torch.tensor(RUN[name], device=device) for name in ("mean", "std"))
    return ((torch.from_numpy(np.stack(views)).to(device).float() / 255 - mean) / std).permute(0, 3, 1, 2)


def sheet(views, columns=3):
    """Pictures side by side."""
    side, rows = len(views[0]), -(-len(views) // columns)
    paper = Image.new("RGB", (columns * side, rows * side), "white")
    for place, view in enumerate(views):
        paper.paste(Image.fromarray(view), (place % columns * side, place // columns * side))
    return paper


print([picture["label"] for picture in train[:9]])
sheet([plain_view(picture, RUN["image_size"]) for picture in train[:9]])

# %% [markdown] when=augmented
# ## Random changes
# In training, each picture is cut, tilted, turned, zoomed, mirrored and lit differently every time, in one
# interpolation. So the network never sees quite the same picture twice (augmentation). The random numbers of a view
# follow from the seed, the stage, the epoch and the picture.


# %% when=augmented
def random_view(picture, size, stage, epoch):
    rng = np.random.default_rng([RUN["seed"], stage, epoch, int(picture["sha256"][:16], 16)])
    change, image = RUN["augmentation"], resized(picture, size)
    left, top = rng.uniform(0, image.width - size), rng.uniform(0, image.height - size)

    def drawn(low, high, usual, is_wanted, probability="p_affine"):
        return rng.uniform(low, high) if is_wanted and rng.random() < change[probability] else usual

    warp, turn = change["max_warp"], change["max_rotate"]
    tilt = [drawn(-warp, warp, 0.0, warp) for _ in range(2)]
    angle = np.radians(drawn(-turn, turn, 0.0, turn))
    zooms = change["min_zoom"] != 1 or change["max_zoom"] != 1
    share = 1 / drawn(change["min_zoom"], change["max_zoom"], 1.0, zooms)
    x, y = (1 - share) * np.array([rng.uniform(-1, 1), rng.uniform(-1, 1)])
    mirrored = change["flip"] and rng.random() < 0.5
    upside_down = change["flip_vertical"] and rng.random() < 0.5
    flip = np.diag([-1.0 if mirrored else 1.0, -1.0 if upside_down else 1.0, 1.0])
    rotation = np.array(
        [[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]],
    )
    movement = flip @ rotation @ np.array([[share, 0, x], [0, share, y], [0, 0, 1]])
    if tilt != [0.0, 0.0]:
        tilted = perspective(*tilt) @ movement
        movement = tilted if reach(tilted) <= 4 else movement  # never beyond the horizon
    to_unit = np.array([[2 / size, 0, -1], [0, 2 / size, -1], [0, 0, 1]])
    to_cut = np.array([[size / 2, 0, left + size / 2], [0, size / 2, top + size / 2], [0, 0, 1]])
    view = warped(image, to_cut @ movement @ to_unit, size)
    amount = change["max_lighting"]
    brightness = drawn(0.5 * (1 - amount), 0.5 * (1 + amount), 0.5, amount, "p_lighting")
    contrast = drawn(np.log(1 - amount), -np.log(1 - amount), 0.0, amount, "p_lighting")
    return np.array(view.point(lit(brightness, float(np.exp(contrast)))))


def perspective(x, y):
    """The map that tilts a view, from where its corners are shown."""
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]], dtype=float)
    shown_at = [[-1 - y, -1 - x], [-1 + y, 1 + x], [1 + y, -1 + x], [1 - y, 1 - x]]
    rows = []
    for (u, v), (a, b) in zip(shown_at, corners, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -a * u, -a * v], [0, 0, 0, u, v, 1, -b * u, -b * v]]
    return np.append(np.linalg.solve(np.array(rows), corners.reshape(-1)), 1.0).reshape(3, 3)


def reach(movement):
    corners = np.array([[-1, -1, 1], [1, -1, 1], [-1, 1, 1], [1, 1, 1]], dtype=float) @ movement.T
    return np.inf if corners[:, 2].min() <= 0 else np.abs(corners[:, :2] / corners[:, 2:]).max()


def warped(image, to_source, size):
    """The view of an image; what lies outside is its mirror image."""
    corners = np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], dtype=float) @ to_source.T
    corners = corners[:, :2] / corners[:, 2:]
    overhang = max(-corners.min(), (corners - [image.width, image.height]).max())
    margin = int(np.clip(np.ceil(overhang) + 1, 0, 2 * min(image.size)))
    if margin:
        image = Image.fromarray(np.pad(np.asarray(image), ((margin,) * 2, (margin,) * 2, (0, 0)), mode="reflect"))
        to_source = np.array([[1, 0, margin], [0, 1, margin], [0, 0, 1.0]]) @ to_source
    numbers = (to_source / to_source[2, 2]).reshape(-1)[:8].tolist()
    return image.transform((size, size), Image.Transform.PERSPECTIVE, numbers, Image.Resampling.BILINEAR)


def lit(brightness, contrast):
    """What each level becomes, worked out in logits."""
    if (brightness, contrast) == (0.5, 1.0):
        return list(range(256)) * 3
    level = np.clip(np.arange(256) / 255, 1e-7, 1 - 1e-7)
    logit = (np.log(level / (1 - level)) + np.log(brightness / (1 - brightness))) * contrast
    return [int(value) for value in np.round(255 / (1 + np.exp(-logit)))] * 3


sheet([random_view(train[0], RUN["image_size"], 0, epoch) for epoch in range(9)])

# %% [markdown]
# ## The network
# A network that was trained on ImageNet's million pictures, without its last layers (the backbone), and new last layers
# for our classes (the head). The head is the course's: both the maximum and the average of each feature, batch norm,
# dropout, and two linear layers.

# %% when=lite
import importlib.util
from pathlib import Path

import timm

package = RUN["weights_package"]
file = WEIGHTS or next(Path(importlib.util.find_spec(package).origin).parent.rglob("*.pth"))
pretrained = torch.load(file, map_location="cpu", weights_only=True)
whole = timm.create_model(RUN["timm_name"], pretrained=False)
# The package names the layers differently, but lists the same ones in the same order.
whole.load_state_dict(dict(zip(whole.state_dict(), pretrained.values(), strict=True)))
whole.reset_classifier(0, global_pool="")
backbone = nn.Sequential(whole)
blocks = [
    nn.Sequential(whole.conv_stem, whole.bn1),
    *(nn.Sequential(stack) for stack in whole.blocks),
    nn.Sequential(whole.conv_head, whole.bn2),
]

# %% when=resnet
import torchvision

whole = torchvision.models.get_model(RUN["architecture"], weights=None if WEIGHTS else RUN["weights"])
if WEIGHTS:
    whole.load_state_dict(torch.load(WEIGHTS, map_location="cpu", weights_only=True))
backbone = nn.Sequential(
    nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1, whole.layer2),
    nn.Sequential(whole.layer3, whole.layer4),
)
stem = nn.Sequential(whole.conv1, whole.bn1, whole.relu, whole.maxpool)
blocks = [stem, *(nn.Sequential(stack) for stack in (whole.layer1, whole.layer2, whole.layer3, whole.layer4))]


# %%
class ConcatPool(nn.Module):
    def forward(self, features):
        return torch.cat([features.amax(dim=(2, 3)), features.mean(dim=(2, 3))], dim=1)


head = nn.Sequential(
    nn.BatchNorm1d(2 * RUN["features"]),
    nn.Dropout(0.25),
    nn.Linear(2 * RUN["features"], 512, bias=False),
    nn.ReLU(inplace=True),
    nn.BatchNorm1d(512),
    nn.Dropout(0.5),
    nn.Linear(512, len(classes), bias=RUN["last_layer_bias"]),
)
generator = torch.Generator().manual_seed(RUN["seed"])
for layer in head:
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_normal_(layer.weight, generator=generator)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if isinstance(layer, nn.BatchNorm1d):
        nn.init.constant_(layer.bias, 1e-3)
model = nn.Sequential(OrderedDict(backbone=backbone, pool=ConcatPool(), head=head)).to(device)
print(f"{sum(parameter.numel() for parameter in model.parameters()):,} weights")

# %% [markdown] when=started
# This training didn't begin with the pretrained weights but with an earlier model. Download that as safetensors and name
# the file in `START`.

# %% when=started
from safetensors.torch import load_file

given = load_file(START)
has_same_head = all(given[f"head.{name}"].shape == tensor.shape for name, tensor in head.state_dict().items())
kept = {name: tensor for name, tensor in given.items() if has_same_head or not name.startswith("head.")}
model.load_state_dict(kept, strict=has_same_head)

# %% [markdown]
# ## How fast it learns
# One cycle: the learning rate rises to its maximum and falls again, momentum goes the other way. Lower layers already
# know edges and textures, so they get smaller rates than the head (discriminative learning rates). Adam, with weight decay.


# %%
def two_legs(share, start, turn, end, warmup):
    """From ``start`` to ``turn`` and on to ``end``, along halves of a cosine."""
    first, last, part = (
        (start, turn, share / warmup) if share < warmup else (turn, end, (share - warmup) / (1 - warmup))
    )
    return first + (1 - math.cos(math.pi * part)) * (last - first) / 2


def progress(stage, step, steps_per_epoch):
    """How far along its one cycle a stage is; the training may have changed how many epochs it was to have."""
    begun, share, epochs = 0, 0.0, stage["planned"]
    for epoch, changed in stage["changes"]:
        if step < epoch * steps_per_epoch:
            break
        share += (1 - share) * (epoch * steps_per_epoch - begun) / (epochs * steps_per_epoch - begun)
        begun, epochs = epoch * steps_per_epoch, changed
    return share + (1 - share) * (step - begun) / (epochs * steps_per_epoch - begun)


def layer_groups():
    return [*backbone.children(), head]


def peaks(max_lr, groups):
    """The highest rate of each layer group, the lowest layers first."""
    if isinstance(max_lr, list):
        low, high = max_lr
        return [low * (high / low) ** (place / (groups - 1)) for place in range(groups)]
    return [max_lr / 10] * (groups - 1) + [max_lr]


def norms(part):
    return [module for module in part.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


def new_optimizer(stage):
    """Choose what learns in a stage, and Adam for it."""
    model.requires_grad_(not stage["freeze"])
    for block in blocks[: stage["frozen_blocks"]]:
        block.requires_grad_(False)
    head.requires_grad_(True)
    if stage["freeze"] and stage["train_batch_norm"]:
        for norm in norms(backbone):
            norm.requires_grad_(True)
    groups = []
    for number, part in enumerate(layer_groups()):
        spared = {parameter for norm in norms(part) for parameter in norm.parameters()}
        spared |= {parameter for name, parameter in part.named_parameters() if name.endswith("bias")}
        spared = set() if RUN["decay_batch_norm"] else spared
        learning = [parameter for parameter in part.parameters() if parameter.requires_grad]
        for decay, is_spared in ((RUN["weight_decay"], False), (0.0, True)):
            if chosen := [parameter for parameter in learning if (parameter in spared) == is_spared]:
                groups.append({"params": chosen, "weight_decay": decay, "layer_group": number})
    return torch.optim.AdamW(groups, betas=RUN["adam_betas"], eps=RUN["adam_epsilon"], fused=True)


def set_rates(optimizer, stage, share):
    warmup, tops = stage["warmup"], peaks(stage["max_lr"], len(layer_groups()))
    low = stage["momentum_low"], stage["momentum_high"]
    for group in optimizer.param_groups:
        top = tops[group["layer_group"]]
        group["lr"] = two_legs(share, top / stage["start_div"], top, top / stage["final_div"], warmup)
        group["betas"] = (two_legs(share, low[1], low[0], low[1], warmup), group["betas"][1])


# %% [markdown]
# ## What the network gets
# While nothing in the backbone changes, its answer to a picture (the features) stays the same: it is computed once, and
# the head learns from that in milliseconds. Otherwise each batch is made of pictures.


# %%
def seed_of(*numbers):
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def views_of(side, rows, stage, view):
    """Pixels of some pictures: the plain view where ``view`` is None, else a random one."""
    size = stage["image_size"]
    with ThreadPoolExecutor() as pool:
        if view is None or not stage["is_random"]:
            return list(pool.map(lambda row: plain_view(side[row], size), rows))
        return list(pool.map(lambda row: random_view(side[row], size, stage["number"], view), rows))


known_features = {}


def features(name, stage, view):
    """(N, 2C) for all pictures of a side, computed once."""
    side = train if name == "train" else valid
    key = (name, view if stage["is_random"] else None, stage["number"])
    if key not in known_features:
        model.eval()
        parts = [range(start, min(start + 32, len(side))) for start in range(0, len(side), 32)]
        with torch.no_grad():
            known_features[key] = torch.cat(
                [model.pool(backbone(to_input(views_of(side, part, stage, view)))) for part in parts]
            )
    return known_features[key]


# %% when=unbalanced
def order_of(stage, epoch):
    return np.random.default_rng([RUN["seed"], stage["number"], epoch]).permutation(len(train)).tolist()


# %% when=balanced
def order_of(stage, epoch):
    """Every class equally often."""
    rng = np.random.default_rng([RUN["seed"], stage["number"], epoch])
    targets = train_targets.cpu().numpy()
    by_class = [np.flatnonzero(targets == name) for name in sorted(set(targets.tolist()))]
    each, rest = divmod(len(targets), len(by_class))
    favoured, order = rng.permutation(len(by_class))[:rest].tolist(), []
    for number, rows in enumerate(by_class):
        wanted = each + (number in favoured)
        rounds = [rng.permutation(rows) for _ in range(-(-wanted // len(rows)))]
        order += np.concatenate(rounds)[:wanted].tolist() if rounds else []
    rng.shuffle(order)
    return order


# %%
def batches_of(stage, epoch):
    """Inputs and targets of an epoch's batches; batch norm can't learn from a last batch of one picture."""
    order, size = order_of(stage, epoch), RUN["batch_size"]
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    times = Counter()
    for part in parts[:-1] if len(parts[-1]) == 1 else parts:
        if stage["is_constant"]:
            yield features("train", stage, epoch % stage["views"])[part], train_targets[part]
            continue
        views = []
        for row in part:
            view = epoch % stage["views"] if stage["frozen_blocks"] else epoch + 1000 * times[row]
            views += views_of(train, [row], stage, view) if RUN["is_balanced"] else []
            times[row] += 1
        if not RUN["is_balanced"]:
            views = views_of(train, part, stage, epoch % stage["views"] if stage["frozen_blocks"] else epoch)
        yield to_input(views), train_targets[part]


# %% [markdown]
# ## Training and testing
# In each step: predict, compare with the labels (cross entropy), compute the gradients, change the weights. After each
# epoch the held-out pictures are predicted, from which nothing is learnt.


# %%
def answers(stage):
    """(N, K) probabilities for the held-out pictures."""
    model.eval()
    with torch.no_grad():
        if stage["is_constant"]:
            return torch.softmax(head(features("valid", stage, None)), dim=1)
        parts = [range(start, min(start + 32, len(valid))) for start in range(0, len(valid), 32)]
        logits = [model(to_input(views_of(valid, part, stage, None))) for part in parts]
    return torch.softmax(torch.cat(logits), dim=1)


def losses_of(probabilities):
    given = probabilities[torch.arange(len(valid)), valid_targets].double()
    return -given.clamp_min(torch.finfo(torch.float32).tiny).log()


def set_mode(stage):
    """Which batch norm layers learn from the batch, and which keep the statistics that they came with."""
    model.train()
    backbone.train(stage["train_batch_norm"] or not stage["freeze"])
    still = blocks[: stage["frozen_blocks"]] + ([] if stage["train_batch_norm"] else norms(backbone))
    for part in still:
        part.eval()


counts = torch.bincount(train_targets, minlength=len(classes))
balance = torch.where(counts > 0, len(train) / ((counts > 0).sum() * counts.clamp_min(1)), 1.0)
class_weights = balance.float() if RUN["is_weighted"] else None


def train_stage(number):
    """Train one stage and print the course's table; returns its answers to the held-out pictures."""
    stage, size = RUN["stages"][number], RUN["batch_size"]
    optimizer, forward = new_optimizer(stage), head if stage["is_constant"] else model
    steps_per_epoch = len(train) // size + (len(train) % size > 1)
    smoothed, steps, best = 0.0, 0, None
    print("epoch  train_loss  valid_loss  error_rate")
    for epoch in range(stage["epochs"]):
        for step, (inputs, targets) in enumerate(batches_of(stage, epoch)):
            set_mode(stage)
            set_rates(optimizer, stage, progress(stage, epoch * steps_per_epoch + step, steps_per_epoch))
            torch.manual_seed(seed_of(RUN["seed"], stage["number"], epoch, step))
            smoothing = RUN["label_smoothing"]
            loss = F.cross_entropy(
                forward(inputs), targets, weight=class_weights, label_smoothing=smoothing, reduction="sum"
            ) / len(targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            smoothed, steps = 0.98 * smoothed + 0.02 * loss.item(), steps + 1
        probabilities = answers(stage)
        errors, valid_loss = wrong(probabilities), losses_of(probabilities).mean().item()
        print(f"{epoch:5}  {smoothed / (1 - 0.98**steps):10.6f}  {valid_loss:10.6f}  {errors / len(valid):10.6f}")
        if stage["keep_best"] and (best is None or (errors, valid_loss) < best[0]):
            best = (errors, valid_loss), copy.deepcopy(model.state_dict()), probabilities
    if best is not None:
        model.load_state_dict(best[1])
        probabilities = best[2]
    return probabilities


def wrong(probabilities):
    return int((probabilities.argmax(dim=1) != valid_targets).sum())


# %% when=stages

# %% [markdown] when=test_time
# ## Several looks at each picture
# The model's answer is mixed from the plain view (a quarter) and random ones (test-time augmentation).

# %% when=test_time
last = {**RUN["stages"][-1], "number": 0, "is_random": True, "is_constant": False}
model.eval()
rounds = []
for view in range(RUN["test_time_views"]):
    parts = [range(start, min(start + 32, len(valid))) for start in range(0, len(valid), 32)]
    with torch.no_grad():
        logits = torch.cat([model(to_input(views_of(valid, part, last, view))) for part in parts])
    rounds.append(torch.softmax(logits, dim=1))
probabilities = 0.25 * probabilities + 0.75 * torch.stack(rounds).mean(dim=0)

# %% [markdown]
# ## What it gets wrong
# The pairs of classes that it confuses most often, and the pictures about which it was most wrong (top losses).

# %%
predicted = probabilities.argmax(dim=1)
pairs = Counter(
    (classes[target], classes[answer])
    for target, answer in zip(valid_targets.tolist(), predicted.tolist(), strict=True)
    if target != answer
)
for (actual, answer), times in pairs.most_common(10):
    print(f"{actual} taken for {answer}: {times}")

# %%
worst = losses_of(probabilities).argsort(descending=True)[:9].tolist()
for row in worst:
    print(f"{valid[row]['file']}: label {valid[row]['label']}, predicted {classes[predicted[row]]}")
sheet([plain_view(valid[row], RUN["image_size"]) for row in worst])

# %% [markdown]
# ## Beside the training
# The same pictures, the same random numbers, the same steps. Where the training computed in other precision or on another
# device, rounding differs, and a few pictures may come out differently.

# %%
errors = wrong(probabilities)
print(f"This notebook: {errors} of {len(valid)} pictures wrong, {100 * errors / len(valid):.2f} %")
print(f"The training:  {RUN['errors']} of {RUN['images']} pictures wrong, {100 * RUN['errors'] / RUN['images']:.2f} %")
