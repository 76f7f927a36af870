"""Sample datasets: one made from an installed package, the others downloaded from where their publishers keep them.

Addresses, sizes and MD5 sums are those of fast.ai's own table (fastai, ``fastai/data/checks.txt``), which publishes no
better sum: they tell a damaged or exchanged file, not a forged one.
"""

import importlib.util
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from PIL import Image

from backend.datasets.errors import SampleNotFound, SampleNotInstalled
from backend.datasets.ingest import IncomingFile
from backend.domain.json import Json

_RANDOM: Final[Json] = {"kind": "random", "valid": 0.2, "seed": 42}
_FOLDER: Final[Json] = {"kind": "folder", "level": 1}
_USUAL_BYTES_A_SECOND: Final = 6_250_000
"""50 Mbit/s, for saying how long a download may take."""


@dataclass(frozen=True, slots=True)
class SampleDownload:
    """Where an archive is, and what it must be."""

    url: str
    bytes: int
    md5: str

    @property
    def usual_seconds(self) -> float:
        """How long it takes at 50 Mbit/s."""
        return self.bytes / _USUAL_BYTES_A_SECOND


@dataclass(frozen=True, slots=True)
class Published:
    """An error rate that was published, to compare one's own with: in [0, 1], when, and where it stands."""

    error_rate: float
    year: int
    source: str


@dataclass(frozen=True, slots=True)
class Sample:
    """A dataset for a first try.

    Attributes:
        shows: what its pictures show, in a few words.
        rule, split: how its labels are read and pictures held out.
        published: the error rate in the paper that it comes from, or one that is as well known.
        in_course: the one that the course reaches.
        package: the Python package that contains it; empty where it is downloaded.
        keep: a regular expression for the names of those files of the archive that belong to it.
        words: readable names for folders of the archive.
        lists: files of the archive that list names with labels, and the side of the split that each is.
        drawn: makes its pictures, where a package contains it.
    """

    name: str
    title: str
    shows: str
    images: int
    classes: int
    licence: str
    citation: str
    rule: Json
    split: Json = field(default_factory=lambda: _RANDOM)
    published: Published | None = None
    in_course: Published | None = None
    package: str = ""
    download: SampleDownload | None = None
    keep: str = r"(?i)\.(png|jpe?g)$"
    words: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, str] = field(default_factory=dict)
    drawn: Callable[[], Iterator[IncomingFile]] | None = None

    @property
    def references(self) -> tuple[Published, ...]:
        """Error rates to compare one's own with, the oldest first."""
        return tuple(one for one in (self.published, self.in_course) if one is not None)

    @property
    def at_hand_offline(self) -> bool:
        """Whether it can be taken without internet, because its package is installed."""
        return self.download is None and importlib.util.find_spec(self.package) is not None


def _digits() -> Iterator[IncomingFile]:
    # Takes about a second, and only an import needs it.
    from sklearn.datasets import load_digits

    scans = load_digits()
    for number, (scan, digit) in enumerate(zip(scans.images, scans.target, strict=True)):
        # Inks 0 to 16 on white paper; 8 x 8 is too small to look at.
        image = Image.fromarray((255 - scan * 255 / 16).round().astype("uint8"))
        file = io.BytesIO()
        image.resize((64, 64), Image.Resampling.BILINEAR).save(file, "PNG")
        yield IncomingFile(f"digits/{digit}_{number:04}.png", file.getvalue())


_ON_S3: Final = "https://s3.amazonaws.com"
_IMAGENETTE: Final = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}

SAMPLES: Final = {
    sample.name: sample
    for sample in (
        Sample(
            name="digits",
            title="Handwritten digits",
            shows="small scans of the digits 0 to 9",
            images=1_797,
            classes=10,
            licence="CC BY 4.0",
            citation=(
                "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, "
                "UCI Machine Learning Repository, https://doi.org/10.24432/C50P49"
            ),
            rule={"kind": "pattern", "pattern": r"/(\d)_\d+\.png$"},
            published=Published(
                0.02, 1998, "nearest neighbour, learnt from 3,823 others: the dataset's own description"
            ),
            package="sklearn",
            drawn=_digits,
        ),
        Sample(
            name="pets",
            title="Oxford-IIIT Pets",
            shows="breeds of cats and dogs, as in lesson 1 of the course",
            images=7_390,
            classes=37,
            licence="CC BY-SA 4.0",
            citation=(
                "O. M. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar (2012), Cats and Dogs, CVPR, "
                "https://www.robots.ox.ac.uk/~vgg/data/pets/"
            ),
            rule={"kind": "pattern", "pattern": r"/([^/]+)_\d+\.jpg$"},
            published=Published(0.408, 2012, "Parkhi et al. 2012, on their own test half"),
            in_course=Published(0.06, 2019, "lesson 1 of the course: ResNet-34 after 4 epochs, on a fifth held out"),
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-imageclas/oxford-iiit-pet.tgz", 811_706_944, "e4db5c768afd933bb91f5f594d7417a4"
            ),
            keep=r"/images/[^/.][^/]*\.jpg$",  # beside them lie a mask for each picture and MATLAB files
        ),
        Sample(
            name="mnist-sample",
            title="MNIST, only 3 and 7",
            shows="handwritten threes and sevens",
            images=14_434,
            classes=2,
            licence="CC BY-SA 3.0",
            citation="Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database; selected by fast.ai",
            rule=_FOLDER,
            split={"kind": "folder", "train": "train", "valid": "valid", "test": "test"},
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-sample/mnist_sample.tgz", 3_214_948, "2dbc7ec6f9259b583af0072c55816a88"
            ),
        ),
        Sample(
            name="mnist",
            title="MNIST",
            shows="handwritten digits 0 to 9",
            images=70_000,
            classes=10,
            licence="CC BY-SA 3.0",
            citation="Y. LeCun, C. Cortes and C. J. C. Burges, The MNIST database, http://yann.lecun.com/exdb/mnist/",
            rule=_FOLDER,
            split={"kind": "folder", "train": "training", "valid": "testing", "test": "test"},
            published=Published(0.0095, 1998, "LeNet-5: LeCun et al. 1998, on the same 10,000 test pictures"),
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-imageclas/mnist_png.tgz", 15_683_414, "03639f83c4e3d19e0a3a53a8a997c487"
            ),
        ),
        Sample(
            name="imagenette",
            title="Imagenette",
            shows="ten very different things, 320 pixels",
            images=13_394,
            classes=10,
            licence="Pictures of ImageNet: for research and teaching only; the selection Apache 2.0",
            citation="J. Howard (2019), Imagenette, https://github.com/fastai/imagenette",
            rule=_FOLDER,
            split={"kind": "folder", "train": "train", "valid": "val", "test": "test"},
            published=Published(0.0489, 2020, "Imagenette's own list: 256 pixels, 200 epochs, without pretraining"),
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-imageclas/imagenette2-320.tgz", 341_663_724, "1f1f74f133caff120e575856659b87a2"
            ),
            words=_IMAGENETTE,
        ),
        Sample(
            name="food-101",
            title="Food-101",
            shows="dishes, 1,000 pictures of each",
            images=101_000,
            classes=101,
            licence="Pictures of Foodspotting, whose users own them: for research and teaching only",
            citation=(
                "L. Bossard, M. Guillaumin and L. Van Gool (2014), Food-101: Mining Discriminative Components with "
                "Random Forests, ECCV"
            ),
            rule=_FOLDER,
            published=Published(0.4924, 2014, "Bossard et al. 2014, on their own test quarter"),
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-imageclas/food-101.tgz", 5_686_607_260, "1a540ebf1fb40b2bf3f2294234ba7907"
            ),
            keep=r"/images/[^/]+/[^/.][^/]*\.jpg$",
        ),
        Sample(
            name="flowers-102",
            title="Flowers-102",
            shows="flowers that are common in Britain; the classes are numbers",
            images=8_189,
            classes=102,
            licence="None given; by the University of Oxford, for research",
            citation=(
                "M-E. Nilsback and A. Zisserman (2008), Automated Flower Classification over a Large Number of "
                "Classes, ICVGIP, https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
            ),
            rule={"kind": "csv", "file": "labels.csv", "image_column": "name", "label_column": "label"},
            split={"kind": "csv", "column": "split"},
            published=Published(0.272, 2008, "Nilsback and Zisserman 2008, by features made by hand"),
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-imageclas/oxford-102-flowers.tgz", 345_236_087, "5666e01c1311b4c67fcf20d2b3850a88"
            ),
            lists={"train.txt": "train", "valid.txt": "valid", "test.txt": "test"},
        ),
        Sample(
            name="cifar-10",
            title="CIFAR-10",
            shows="ten kinds of things in 32 pixels",
            images=60_000,
            classes=10,
            licence="None given; free to use with its citation",
            citation=(
                "A. Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images, "
                "https://www.cs.toronto.edu/~kriz/cifar.html"
            ),
            rule=_FOLDER,
            split={"kind": "folder", "train": "train", "valid": "valid", "test": "test"},
            published=Published(
                0.0643, 2016, "ResNet-110, the best of five: He et al. 2016, on the same 10,000 test pictures"
            ),
            download=SampleDownload(
                f"{_ON_S3}/fast-ai-sample/cifar10.tgz", 168_168_549, "a5f8c31371b63a406b23368042812d3c"
            ),
        ),
    )
}


def find_sample(name: str) -> Sample:
    """A sample by its name.

    Raises:
        SampleNotFound, SampleNotInstalled
    """
    if name not in SAMPLES:
        raise SampleNotFound(name)
    sample = SAMPLES[name]
    if sample.download is None and not sample.at_hand_offline:
        raise SampleNotInstalled(sample.package)
    return sample
