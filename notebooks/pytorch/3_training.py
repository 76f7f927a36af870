"""Further cells of the notebook in plain PyTorch: learning, and what came of it. See ``1_pictures.py``."""

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
