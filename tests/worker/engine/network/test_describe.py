from worker.engine.network.describe import described, listed


def test_an_entry_has_timms_size_colours_licence_and_weights() -> None:
    entry = described("vit_small_patch14_dinov2.lvd142m")

    assert (entry.name, entry.family, entry.parameters) == (
        "vit_small_patch14_dinov2.lvd142m", "vision_transformer", 22_056_192,
    )  # fmt: skip
    assert (entry.default_image_size, entry.size_step, entry.is_fixed_size) == (518, 14, False)
    assert (entry.features, entry.blocks, entry.layer_groups) == (768, 13, 14)
    assert (entry.mean, entry.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (entry.license, entry.has_batch_norm) == ("apache-2.0", False)
    assert entry.built_by.startswith("timm ")
    (weights,) = entry.weights
    assert (weights.name, weights.file_name) == ("lvd142m", "vit_small_patch14_dinov2.lvd142m.safetensors")
    assert weights.hub_id.endswith("/vit_small_patch14_dinov2.lvd142m")


def test_operations_and_activations_are_counted_for_224_pixels() -> None:
    entry = described("resnet18.a1_in1k")

    assert (round(entry.gflops, 2), entry.activations) == (3.63, 2_483_712)
    assert entry.has_batch_norm


def test_a_name_without_its_weights_means_timms_default() -> None:
    assert described("convnext_tiny").name == "convnext_tiny.in12k_ft_in1k"


def test_a_file_of_an_address_keeps_its_name_and_its_hash() -> None:
    (weights,) = described("resnet101c.gluon_in1k").weights

    assert weights.file_name.endswith(".safetensors" if weights.hub_id else ".pth")


def test_the_list_has_licences_that_are_not_free_for_all_uses() -> None:
    found = {one["name"]: one for one in listed()}

    assert found["vit_small_patch16_dinov3.lvd1689m"]["license"] == "dinov3-license"
    assert found["convnext_tiny.fb_in22k_ft_in1k"]["family"] == "convnext"
    assert len(found) > 1000
