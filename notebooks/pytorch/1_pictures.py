"""The cells of the notebook that repeats a training, in plain PyTorch: pictures and views. Network and training follow.

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
