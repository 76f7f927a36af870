"""The cells of the notebook that repeats a training with fastai; made as those of ``pytorch.py``."""

# %%
import json
import zipfile

from fastai.vision.all import (
    BnFreeze,
    CategoryBlock,
    ClassificationInterpretation,
    DataBlock,
    ImageBlock,
    IndexSplitter,
    Normalize,
    Path,
    Resize,
    SaveModelCallback,
    aug_transforms,
    error_rate,
    set_seed,
    vision_learner,
)

set_seed(RUN["seed"], reproducible=True)

# %% [markdown]
# ## The pictures
# The ZIP has every picture in a folder of its side and class, and `tellapart.json` with the label and side of each.

# %%
folder = Path(DATA).with_suffix("")
with zipfile.ZipFile(DATA) as archive:
    archive.extractall(folder)
    known = json.loads(archive.read("tellapart.json"))
assert known["version"]["id"] == RUN["version"], f"{DATA} is another version than the one trained on."
pictures = [one for one in known["images"] if one["split"] != "test" and one["sha256"] not in RUN["unreadable"]]
held_out = [place for place, one in enumerate(pictures) if one["split"] == "valid"]


# %% [markdown]
# ## Batches
# A data block answers four questions: what the items are, how each is labelled, which are held out, and what is done to
# them before the network sees them.


# %%
def picture_of(one):
    return folder / one["file"]


def label_of(one):
    return one["label"]


change = RUN["augmentation"]
block = DataBlock(
    blocks=(ImageBlock, CategoryBlock(vocab=known["classes"])),
    get_x=picture_of,
    get_y=label_of,
    splitter=IndexSplitter(held_out),
    item_tfms=Resize(round(RUN["image_size"] / RUN["crop_share"])),
    batch_tfms=[
        *aug_transforms(
            size=RUN["image_size"],
            do_flip=change["flip"],
            flip_vert=change["flip_vertical"],
            max_rotate=change["max_rotate"],
            min_zoom=change["min_zoom"],
            max_zoom=change["max_zoom"],
            max_lighting=change["max_lighting"],
            max_warp=change["max_warp"],
            p_affine=change["p_affine"],
            p_lighting=change["p_lighting"],
        ),
        Normalize.from_stats(RUN["mean"], RUN["std"]),
    ],
)
dls = block.dataloaders(pictures, bs=RUN["batch_size"])
dls.show_batch(max_n=9)

# %% [markdown]
# ## The network
# A network that was trained on ImageNet's million pictures, and new last layers for our classes.

# %% when=lite
architecture = RUN["timm_name"]

# %% when=resnet
from fastai.vision.all import models

architecture = getattr(models, RUN["architecture"])

# %%
learn = vision_learner(
    dls,
    architecture,
    metrics=error_rate,
    normalize=False,
    wd=RUN["weight_decay"],
    wd_bn_bias=RUN["decay_batch_norm"],
)

# %% [markdown] when=started
# This training began with an earlier model instead of the pretrained weights; fastai arranges the layers differently, so
# this notebook begins with the pretrained ones. The one in plain PyTorch begins as the training did.

# %% when=stages

# %% [markdown]
# ## What it gets wrong

# %%
interpretation = ClassificationInterpretation.from_learner(learn)
interpretation.plot_confusion_matrix()

# %%
interpretation.most_confused(min_val=2)

# %%
interpretation.plot_top_losses(min(9, len(held_out)))

# %% [markdown]
# ## Beside the training
# fastai draws other random numbers and crops a little differently, so its error is near the training's and not the same.

# %%
loss, error = learn.validate()
print(f"fastai:       {100 * error:.2f} % wrong on {len(held_out)} pictures")
print(f"The training: {100 * RUN['errors'] / RUN['images']:.2f} % wrong on {RUN['images']} pictures")
