import subprocess
import sys
from pathlib import Path

from backend.domain.architectures import ARCHITECTURES
from backend.weights import available_architectures, is_available, package_file


def test_a_file_in_the_folder_is_available(tmp_path: Path) -> None:
    weights = ARCHITECTURES["resnet18"].weights[0]
    before = is_available(weights, tmp_path)
    (tmp_path / "resnet18-f37072fd.pth").touch()

    assert (before, is_available(weights, tmp_path)) == (False, True)


def test_weights_of_an_installed_package_are_available(tmp_path: Path) -> None:
    assert "efficientnet-lite0" in [entry.name for entry in available_architectures(tmp_path)]
    assert package_file("no_such_package") is None


def test_asking_does_not_load_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from backend.weights import available_architectures; "
        "available_architectures(Path('.')); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
