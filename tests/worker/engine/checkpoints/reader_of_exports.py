"""A user's own program: answers for pictures by what an exported ONNX file says of itself, and nothing else.

Run with ``python -I``: it imports onnxruntime, numpy and Pillow only.
"""

import io
import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageCms, ImageOps


def main(model: str, *pictures: str) -> None:
    session = onnxruntime.InferenceSession(model)
    reported = session.get_modelmeta().custom_metadata_map
    classes, steps = json.loads(reported["classes"]), json.loads(reported["preprocessing"])
    answers = []
    for picture in pictures:
        pixels = np.asarray(seen(picture, steps), dtype=np.float32)
        low, high = steps["range"]
        values = (pixels / np.float32(255) * (high - low) + low).transpose(2, 0, 1)[None]
        assert steps["normalised_by_model"]
        (probabilities,) = session.run(None, {steps["input"]["name"]: np.ascontiguousarray(values)})
        row = probabilities[0].tolist()
        answers.append({"class": classes[int(np.argmax(row))], "probabilities": row})
    print(json.dumps(answers))  # noqa: T201  # its answer


def seen(path: str, steps: dict) -> Image.Image:  # type: ignore[type-arg]  # JSON
    image: Image.Image = Image.open(path)
    if image.format == "JPEG":
        for scale in (8, 4, 2):
            width, height = image.size
            is_large = min(image.size) >= scale * steps["jpeg_draft_short_side"]
            if is_large and width % scale == height % scale == 0:
                image.draft(None, (width // scale, height // scale))
                break
    assert steps["orientation"] == "upright by EXIF"
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    if profile and image.mode == "RGB":
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, "RGB", "RGB", ImageCms.Intent.RELATIVE_COLORIMETRIC)
        image = ImageCms.applyTransform(image, transform) or image
    if image.mode.startswith("I;16"):
        assert steps["levels"].startswith("8 bits; deeper greys from 0")
        levels = np.asarray(image, dtype=np.float64) * 255 / 65535
        image = Image.fromarray(levels.round().astype(np.uint8))
    if "A" in image.mode:
        assert steps["transparency"] == "on white"
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = without_far_ends(image.convert(steps["color"]), steps["max_aspect"])
    scale = steps["resize_to"] / min(image.size)
    width, height = (max(steps["resize_to"], round(side * scale)) for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=steps["reducing_gap"])
    assert steps["crop"] == "center"
    size = steps["size"]
    left, top = (width - size) // 2, (height - size) // 2
    return image.crop((left, top, left + size, top + size))


def without_far_ends(image: Image.Image, aspect: int) -> Image.Image:
    longest = aspect * min(image.size)
    width, height = (min(side, longest) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


if __name__ == "__main__":
    main(*sys.argv[1:])
