import subprocess
import sys
from pathlib import Path

from backend.domain.architectures import ARCHITECTURES
from backend.weights import architectures_at_hand, at_hand, package_file


def test_a_file_in_the_folder_is_at_hand(tmp_path: Path) -> None:
    weights = ARCHITECTURES["resnet18"].weights[0]
    before = at_hand(weights, tmp_path)
    (tmp_path / "resnet18-f37072fd.pth").touch()

    assert (before, at_hand(weights, tmp_path)) == (False, True)


def test_weights_of_an_installed_package_are_at_hand(tmp_path: Path) -> None:
    assert [entry.name for entry in architectures_at_hand(tmp_path)] == ["efficientnet-lite0"]
    assert package_file("no_such_package") is None


def test_asking_does_not_load_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from backend.weights import architectures_at_hand; "
        "architectures_at_hand(Path('.')); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
