"""Further cells of the notebook in plain PyTorch: the network. See ``1_pictures.py``."""

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
