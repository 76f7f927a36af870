"""Report, model card, notebook and hub folder of a run: what is in them, and that no name becomes more than text."""

import ast
import base64
import builtins
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import httpx
import nbformat
import pytest
import yaml

from backend.domain.confidence.settings import ConfidenceSettings
from backend.domain.drawn import Drawn
from backend.training.confidence.chosen import keep_settings
from backend.training.exports.facts import RunFacts, run_facts
from backend.training.exports.notebook import Library, NotebookUnavailable, cells_of, notebook
from backend.training.exports.report import FACES, WORST
from tests.conftest import OWNER_TOKEN
from tests.e2e.furnished import Furnished, Wording, furnish
from tests.e2e.server import serving

HOSTILE = Wording(
    dataset="<script>alert(1)</script> & [x](javascript:alert(2)) {{ 7 * 7 }}",
    classes=("<img src=x onerror=alert(3)>", "`rm` | $a$ *b*", "<style><script>alert(4)"),
    file='"><svg onload=alert(5)>',
    run="</title><script>alert(6)</script>",
)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> Iterator[Furnished]:
    """A run in which everything has a hostile name."""
    with serving(tmp_path_factory.mktemp("exports"), migrated_sqlite) as server:
        yield furnish(server, HOSTILE)


@pytest.fixture
def program(hostile: Furnished) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {OWNER_TOKEN}"}
    with httpx.Client(base_url=hostile.server.url, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def facts(hostile: Furnished) -> RunFacts:
    services = hostile.server.services
    with services.database.read() as session:
        return run_facts(session, services.storage, hostile.checkpoints[-1])


def test_report_and_model_card_say_when_the_model_answers(program: httpx.Client, hostile: Furnished) -> None:
    services, checkpoint_id = hostile.server.services, hostile.checkpoints[-1]
    usual = "answers with one of its 3 classes, even for a picture of something else"
    chosen = "A picture unlike all training pictures gets none of the 3 classes."

    before = [exported(program, hostile, format).text for format in ("report", "model-card")]
    with services.database.write() as session:
        keep_settings(session, checkpoint_id, ConfidenceSettings(familiar_refused=0.05, strangeness_limit=0.2), None)
    after = [exported(program, hostile, format).text for format in ("report", "model-card")]
    with services.database.write() as session:
        keep_settings(session, checkpoint_id, ConfidenceSettings(), None)

    assert [usual in text for text in before + after] == [True, True, False, False]
    assert [chosen in text for text in before + after] == [False, False, True, True]


def exported(program: httpx.Client, hostile: Furnished, format: str, **query: str) -> httpx.Response:
    path = f"/api/v1/checkpoints/{hostile.checkpoints[-1]}/export"
    answer = program.get(path, params={"format": format, **query})
    assert answer.status_code == 200, answer.text
    return answer


class Elements(HTMLParser):
    """Every element of a page with its attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_m07_no_name_becomes_an_element_of_the_report(program: httpx.Client, hostile: Furnished) -> None:
    page = Elements(exported(program, hostile, "report").text)

    assert not {tag for tag, _ in page.found} & {"script", "iframe", "object", "link", "form", "base"}
    assert [name for _, given in page.found for name in given if name.startswith("on") or name == "style"] == []
    assert all((given["src"] or "").startswith("data:image/webp;base64,") for tag, given in page.found if tag == "img")
    assert all(name in page.text for name in (*HOSTILE.classes, HOSTILE.dataset, HOSTILE.run))


def test_the_report_is_one_file_that_fetches_nothing(program: httpx.Client, hostile: Furnished) -> None:
    answer = exported(program, hostile, "report")

    page = Elements(answer.text)
    (link,) = [given["href"] for tag, given in page.found if tag == "a"]
    assert link == f"http://127.0.0.1/runs/{hostile.runs['succeeded']}"
    assert re.findall(r"https?://[^\s<\"]+", answer.text) == [link, link]
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "-report.html" in answer.headers["content-disposition"]


def test_the_report_lets_only_its_own_style_through(program: httpx.Client, hostile: Furnished) -> None:
    answer = exported(program, hostile, "report")

    css = answer.text.partition("<style>")[2].partition("</style>")[0]
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    (policy,) = [given["content"] for tag, given in Elements(answer.text).found if given.get("http-equiv")]
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    assert answer.headers["content-security-policy"] == f"{policy}; frame-ancestors 'none'"


def test_the_report_has_all_that_a_stranger_needs(program: httpx.Client, hostile: Furnished) -> None:
    text = " ".join(Elements(exported(program, hostile, "report").text).text.split())

    headings = (
        "Result",
        "What the figure doesn’t show",
        "Pictures",
        "How it learnt",
        "What it takes for something else",
        "Worst mistakes",
        "Results by class",
        "Recipe",
        "Origin, licences",
    )
    assert [text.find(heading) for heading in headings] == sorted(text.find(heading) for heading in headings)
    assert "2 mistakes in 9 pictures held out for validation" in text
    assert "78 % right likely 45 to 94 %" in text
    assert hostile.checkpoints[-1] in text
    assert hostile.version_id in text


def test_the_number_of_pictures_is_bounded(program: httpx.Client, hostile: Furnished) -> None:
    page = Elements(exported(program, hostile, "report").text)

    pictures = [given for tag, given in page.found if tag == "img"]
    assert len(pictures) == 3 * 4 + 2
    assert FACES + WORST <= 150


def test_published_figures_stand_beside_ours_where_the_pictures_are_a_sample(
    program: httpx.Client, hostile: Furnished
) -> None:
    dataset = f"/api/v1/datasets/{hostile.dataset_id}/from-urls"
    assert program.post(dataset, json={"sample": "digits"}).status_code == 202

    text = " ".join(Elements(exported(program, hostile, "report").text).text.split())

    assert "98 % 1998: nearest neighbour, learnt from 3,823 others" in text
    assert "78 % This training" in text
    assert "Licence: CC BY 4.0. To cite: E. Alpaydin and C. Kaynak (1998)" in text


def test_the_page_shows_the_report_and_offers_the_file(program: httpx.Client, hostile: Furnished) -> None:
    answer = program.get(f"/runs/{hostile.runs['succeeded']}/report", headers={"Accept": "text/html"})

    assert answer.status_code == 200
    assert "content-disposition" not in answer.headers
    assert "Save as a file" in answer.text


def test_a_run_without_a_model_has_no_report(program: httpx.Client, hostile: Furnished) -> None:
    answer = program.get(f"/runs/{hostile.runs['queued']}/report", headers={"Accept": "text/html"})

    assert answer.status_code == 409
    assert "hasn’t finished a stage" in answer.text or "hasn&#39;t finished a stage" in answer.text


def test_the_model_card_is_what_a_hub_reads(program: httpx.Client, hostile: Furnished) -> None:
    card = exported(program, hostile, "model-card").text

    _, front, body = card.split("---\n", 2)
    known = yaml.safe_load(front)
    (model,) = known["model-index"]
    (result,) = model["results"]
    assert known["pipeline_tag"] == "image-classification"
    assert known["library_name"] == "onnx"
    assert known["license"] == "other"
    assert model["name"] == f"{HOSTILE.dataset}, {HOSTILE.run}, succeeded, stage 2"
    assert result["dataset"]["name"] == f"{HOSTILE.dataset}, version 1"
    assert {one["type"]: one["value"] for one in result["metrics"]}["accuracy"] == pytest.approx(7 / 9, abs=1e-6)
    assert "78 % right (likely 45 to 94 %)" in body
    assert not re.search(r"^#+ .*\n+#", body, re.MULTILINE)


def test_no_name_becomes_markup_in_the_model_card(program: httpx.Client, hostile: Furnished) -> None:
    body = exported(program, hostile, "model-card").text.split("---\n", 2)[2]

    assert not re.search(r"<(script|img|svg|style)", body)
    assert escape("<img src=x onerror=alert", quote=False) in body.replace("\\", "")
    assert "[x](javascript" not in body
    assert r"\`rm\` \| \$a\$ \*b\*" in body


@pytest.mark.parametrize("library", Library)
def test_a_notebook_is_valid_and_every_name_in_it_is_defined(
    program: httpx.Client, hostile: Furnished, library: Library
) -> None:
    found = nbformat.reads(exported(program, hostile, "notebook", library=library).text, as_version=4)

    nbformat.validate(found)
    code = "\n".join(cell.source for cell in found.cells if cell.cell_type == "code")
    assert undefined(code) == set()
    text = "\n".join(cell.source for cell in found.cells if cell.cell_type == "markdown")
    assert not re.search(r"<(script|img|svg|style)", text)
    # Each step has a sentence before it, but those that belong together.
    kinds = [cell.cell_type for cell in found.cells]
    assert kinds[0] == "markdown"
    assert kinds.count("markdown") >= 8


@pytest.mark.parametrize("library", Library)
def test_every_cell_is_code_that_can_be_read(library: Library) -> None:
    cells = cells_of(library)

    for cell in cells:
        if cell.kind == "code":
            ast.parse(cell.source)
    given = "RUN = DATA = WEIGHTS = START = probabilities = None\n"
    assert undefined(given + "\n".join(cell.source for cell in cells if cell.kind == "code")) == set()


def undefined(code: str) -> set[str]:
    """Names that are used and nowhere defined."""
    names = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)]
    defined = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        if isinstance(node, ast.arg):
            defined.add(node.arg)
        if isinstance(node, ast.alias):
            defined.add(node.asname or node.name.partition(".")[0])
    return {node.id for node in names if node.id not in defined}


def test_what_a_notebook_cannot_do_is_refused_with_the_reason(facts: RunFacts) -> None:
    with pytest.raises(NotebookUnavailable) as sounds:
        notebook(facts, Library.PYTORCH, kind=Drawn.SOUND, data="sounds.zip")
    other = replace(facts, config=facts.config.model_copy(update={"architecture": "convnext_tiny"}))
    with pytest.raises(NotebookUnavailable) as network:
        notebook(other, Library.PYTORCH, kind=None, data="pictures.zip")

    assert "its pictures were drawn from other files" in sounds.value.message
    assert "notebooks are written for EfficientNet-Lite0," in network.value.message


def test_the_folder_for_a_hub_has_card_models_configuration_and_notebook(
    program: httpx.Client, hostile: Furnished
) -> None:
    answer = exported(program, hostile, "hub")

    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archive.namelist() == ["README.md", "config.json", "model.onnx", "model.safetensors", "notebook.ipynb"]
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert archive.read("README.md").decode() == exported(program, hostile, "model-card").text
    assert archive.read("model.onnx") == exported(program, hostile, "onnx").content
    configuration = json.loads(archive.read("config.json"))
    assert configuration["label_names"] == sorted(HOSTILE.classes)
    assert configuration["architecture"] == "tf_efficientnet_lite0"


def test_the_use_page_offers_everything_with_a_sentence(program: httpx.Client, hostile: Furnished) -> None:
    answer = program.get(f"/checkpoints/{hostile.checkpoints[-1]}/try", headers={"Accept": "text/html"})

    page = Elements(answer.text.partition('id="take-away"')[2].partition("</section>")[0])
    paths = [given["href"] or "" for tag, given in page.found if tag == "a"]
    assert [path.rpartition("format=")[2] if "format=" in path else path.split("/")[-1] for path in paths] == [
        "onnx",
        "safetensors",
        f"report?checkpoint={hostile.checkpoints[-1]}",
        "notebook",
        "notebook&library=fastai",
        "export",
        "model-card",
        "hub",
    ]
    assert [path for path in paths if program.get(path).status_code != 200] == []


def test_the_versions_page_offers_each_version_as_a_zip(program: httpx.Client, hostile: Furnished) -> None:
    answer = program.get(f"/datasets/{hostile.dataset_id}/versions", headers={"Accept": "text/html"})

    assert f'href="/api/v1/versions/{hostile.version_id}/export" download' in answer.text
