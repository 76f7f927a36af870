"""Calls that have turned data into code elsewhere, and markup that a strict policy or a hostile name would break."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    file
    for folder in ("backend", "worker", "alembic", "benchmarks")
    for file in sorted((ROOT / folder).rglob("*.py"))
    if "__pycache__" not in file.parts
]
TEMPLATES = sorted((ROOT / "frontend/templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "frontend/src").rglob("*.ts"))

MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "simpleeval",
    "asteval",
}
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {"os.system", "os.popen", "yaml.load", "yaml.unsafe_load", "torch.save", "np.fromregex"}
TORCH_LOAD_IN = "worker/engine/network/weights.py"
"""Weight files of the catalogue: known by hash, ``weights_only=True``."""
TORCH_SAVE_IN = "benchmarks/weights.py"
"""Drawn weights in the form of downloaded ones, where those aren't at hand."""


def found_in(source: str, file: str) -> list[str]:
    """What of the forbidden is in a module, with its line."""
    return [f"{file}:{line} {what}" for line, what in _forbidden(ast.parse(source), file)]


def _forbidden(tree: ast.AST, file: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {name.name for name in node.names if name.name.split(".")[0] in MODULES}
            if file == TORCH_LOAD_IN:
                names.discard("pickle")  # for the name of its exception
            yield from ((node.lineno, name) for name in sorted(names))
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pickle":
            if node.attr != "UnpicklingError":
                yield node.lineno, f"pickle.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in MODULES:
            yield node.lineno, f"from {node.module}"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, what) for what in _forbidden_in_call(node, file))


def _forbidden_in_call(call: ast.Call, file: str) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in BUILTINS or (name in CALLS and not (name == "torch.save" and file == TORCH_SAVE_IN)):
        yield name
    if name == "torch.load" and not (file == TORCH_LOAD_IN and given.get("weights_only") == "True"):
        yield name
    if given.get("shell", "False") != "False":
        yield f"{name}(shell=…)"
    if given.get("allow_pickle", "False") != "False":
        yield f"{name}(allow_pickle=…)"
    if given.get("autoescape", "True") != "True":
        yield f"{name}(autoescape=…)"


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_data_becomes_code(file: Path) -> None:
    assert found_in(file.read_text("utf-8"), str(file.relative_to(ROOT))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "eval('1')",
        "exec(text)",
        "torch.load(file)",
        "torch.load(file, weights_only=True)",
        "subprocess.run(text, shell=True)",
        "np.load(file, allow_pickle=True)",
        "Environment(autoescape=False)",
        "os.system(text)",
    ],
)
def test_the_gate_sees_what_it_is_to_see(source: str) -> None:
    assert found_in(source, "worker/engine/other.py") != []


def test_the_gate_lets_through_what_only_looks_alike() -> None:
    assert found_in("network.eval()\nre.compile('a')\nrun(shell=False)", "worker/engine/loop/train.py") == []
    assert found_in("torch.load(file, weights_only=True)", TORCH_LOAD_IN) == []
    assert found_in("torch.load(file, weights_only=False)", TORCH_LOAD_IN) != []
    assert found_in("import pickle\npickle.loads(text)", TORCH_LOAD_IN) != []


TEMPLATE_SINS = {
    "a name as markup": re.compile(r"\|\s*safe\b|autoescape\s+false|Markup\("),
    "an inline style": re.compile(r"\sstyle\s*=|<style\b", re.IGNORECASE),
    "an inline script": re.compile(r"<script\b(?![^>]*\bsrc=)", re.IGNORECASE),
    "an inline handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "a script address": re.compile(r"javascript:", re.IGNORECASE),
    "something from another host": re.compile(r"(?:src|href)\s*=\s*[\"'](?:https?:)?//(?!\{)", re.IGNORECASE),
    "a form without its token": re.compile(
        r"<form\b(?=[^>]*method=[\"']post)(?![^>]*/sign-in)[^>]*>(?!\s*\{\{-?\s*csrf_field)", re.IGNORECASE
    ),
}


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: str(file.relative_to(ROOT / "frontend/templates")))
def test_templates_have_nothing_inline_and_trust_no_text(file: Path) -> None:
    text = file.read_text("utf-8")

    assert [sin for sin, pattern in TEMPLATE_SINS.items() if pattern.search(text)] == []


@pytest.mark.parametrize(
    ("text", "sin"),
    [
        ("{{ name | safe }}", "a name as markup"),
        ('<p style="x">', "an inline style"),
        ("<script>x</script>", "an inline script"),
        ('<img src="x" onerror="y">', "an inline handler"),
        ('<script src="https://cdn.example/x.js">', "something from another host"),
        ('<form method="post" action="/x"><input>', "a form without its token"),
    ],
)
def test_the_template_gate_sees_what_it_is_to_see(text: str, sin: str) -> None:
    assert TEMPLATE_SINS[sin].search(text)


SCRIPT_SINS = re.compile(r"\beval\(|new Function\(|document\.write|setTimeout\(\s*[\"'`]|\.setAttribute\(\s*[\"']style")


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT / "frontend/src")))
def test_scripts_make_no_code_of_text(file: Path) -> None:
    assert SCRIPT_SINS.search(file.read_text("utf-8")) is None


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_scripts_ask_the_server_only_where_the_connection_is_watched(file: Path) -> None:
    if file.name in ("http.ts", "connection.ts", "send.ts"):
        return
    assert re.findall(r"(?<![\w.])fetch\(|new XMLHttpRequest", file.read_text("utf-8")) == []
