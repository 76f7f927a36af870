"""Lists of pictures: filters, orders, pages and counts; on both databases."""

import pytest
from sqlalchemy import select

from backend.datasets.pictures import repository
from backend.datasets.pictures.filter import ImageFilter, ListOrder
from backend.datasets.pictures.repository import PictureLists
from backend.dependencies import Services
from backend.domain.ids import new_id
from backend.domain.json import Json
from backend.ledger.job import JobKind
from backend.ledger.unit_of_work import unit_of_work
from backend.tables.datasets import ImageRow
from backend.tables.interpretation import PredictionRow
from backend.tables.training import CheckpointRow, RunRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode
from tests.fixtures.statements import statements_of


def paths(ana: Ana, query: str) -> list[str]:
    return [image["path"] for image in ana.images(query)]


def walked(ana: Ana, query: str, limit: int = 2) -> list[str]:
    """All pages of a list, one after the other."""
    found: list[str] = []
    after = ""
    while True:
        page = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?{query}&limit={limit}{after}").json()
        found += [image["path"] for image in page["items"]]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def bring_names(ana: Ana, *names: str) -> None:
    ana.bring({name: encode(draw("circle", number)) for number, name in enumerate(names)})


def add_results(services: Services, version_id: str) -> str:
    """A run that was tested on the version's validation pictures, and took the first one for something else."""
    with unit_of_work(services.database, services.notifier) as unit:
        run_id, checkpoint_id = new_id(), new_id()
        job_id = unit.enqueue(JobKind.TRAIN, run_id)
        unit.session.add(RunRow(id=run_id, name="stage 1", version_id=version_id, job_id=job_id, config={}))
        unit.session.flush()
        unit.session.add(
            CheckpointRow(
                id=checkpoint_id,
                run_id=run_id,
                stage=0,
                epoch=0,
                architecture="resnet18",
                classes=["circle", "cross", "square"],
                preprocessing={},
                metrics={"valid": {"images": 3, "errors": 1, "error_rate": 0.33, "loss": 0.4}},
                parity={},
                folder=checkpoint_id,
                sha256="a" * 64,
                bytes=1,
            )
        )
        unit.session.flush()
        valid = PictureLists(unit.session).images(
            unit.session.scalars(select(ImageRow.dataset_id)).first() or "",
            ImageFilter(version_id=version_id, only_version=True, split="valid"),
            limit=100,
        )
        for number, image in enumerate(valid):
            said = image.label if number else "something else"
            unit.session.add(
                PredictionRow(
                    checkpoint_id=checkpoint_id,
                    image_id=image.row.id,
                    split="valid",
                    actual=image.label or "",
                    predicted=said or "",
                    loss=0.1,
                    probability_actual=0.2,
                    probability_predicted=0.75,
                )
            )
        return run_id


def test_names_are_in_the_order_in_which_people_read_them(ana: Ana) -> None:
    bring_names(ana, "z/pug_10.png", "a/Pug_2.png", "b/élan.png", "c/Ant.png", "d/Élan_2.png")

    assert walked(ana, "order=name") == ["c/Ant.png", "a/Pug_2.png", "z/pug_10.png", "b/élan.png", "d/Élan_2.png"]
    assert paths(ana, "order=name&from=P") == ["a/Pug_2.png", "z/pug_10.png", "b/élan.png", "d/Élan_2.png"]


def test_a_restored_or_renamed_picture_is_listed_under_its_first_name(ana: Ana) -> None:
    picture = encode(draw("circle", 1))
    ana.bring({"b/zebra.png": picture, "b/mole.png": encode(draw("circle", 2))})

    ana.bring({"a/ant.png": picture})

    assert paths(ana, "order=name") == ["a/ant.png", "b/mole.png"]


def test_classes_follow_each_other_and_a_list_can_begin_with_one(ana: Ana) -> None:
    ana.bring_shapes(4)
    ana.freeze({"kind": "folder"})

    labels = [path.split("/")[1] for path in walked(ana, "order=class")]

    assert labels == ["circle"] * 4 + ["cross"] * 4 + ["square"] * 4
    assert [path.split("/")[1] for path in paths(ana, "order=class&from=cross&limit=5")] == ["cross"] * 4 + ["square"]


@pytest.mark.parametrize(
    "query", ["", "order=newest", "order=name", "order=class", "class=cross", "split=train", "text=1"]
)
def test_pages_of_two_have_all_that_one_page_has(ana: Ana, query: str) -> None:
    ana.bring_shapes(4)
    ana.freeze({"kind": "folder"})

    assert walked(ana, query) == paths(ana, query)


def test_a_filter_that_must_look_at_each_picture_looks_at_a_part_of_them_a_page(
    ana: Ana, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.bring_shapes(4)
    monkeypatch.setattr(repository, "LOOKED_THROUGH", 5)

    first = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?text=SQUARE").json()

    assert first["items"] == []
    assert first["next"] is not None
    assert walked(ana, "text=SQUARE") == [f"shapes/square/{number}.png" for number in range(4)]


def test_a_position_can_be_asked_for(ana: Ana) -> None:
    ana.bring_shapes(2)

    assert paths(ana, "offset=4") == paths(ana, "")[4:]
    assert paths(ana, "offset=6") == []


@pytest.mark.parametrize("order", ["arrival", "newest", "name"])
def test_positions_are_the_same_from_either_end_and_leave_out_what_was_deleted(ana: Ana, order: str) -> None:
    bring_names(ana, "c.png", "a.png", "b.png", "e.png", "d.png")
    deleted = {"ids": [ana.images("order=name")[2]["id"]]}
    ana.client.request("DELETE", f"/api/v1/datasets/{ana.dataset_id}/images", json=deleted)
    expected = {
        "arrival": ["a.png", "b.png", "e.png", "d.png"],
        "newest": ["d.png", "e.png", "b.png", "a.png"],
        "name": ["a.png", "b.png", "d.png", "e.png"],
    }[order]

    assert [paths(ana, f"order={order}&offset={skipped}") for skipped in range(6)] == [
        expected,
        expected[1:],
        expected[2:],
        expected[3:],
        [],
        [],
    ]


def test_a_page_is_filled_from_several_parts_of_the_list(ana: Ana, monkeypatch: pytest.MonkeyPatch) -> None:
    ana.bring_shapes(4)
    monkeypatch.setattr(repository, "_LOOKED_FIRST", 2)

    page = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?text=SQUARE&limit=3").json()

    assert [image["path"] for image in page["items"]] == [f"shapes/square/{number}.png" for number in range(3)]
    assert page["next"] == page["items"][-1]["id"]
    assert walked(ana, "text=SQUARE") == [f"shapes/square/{number}.png" for number in range(4)]


def test_signs_that_mean_something_to_the_database_are_letters(ana: Ana) -> None:
    bring_names(ana, "a/100%.png", "a/1000.png", "a/1_0.png")

    assert paths(ana, "text=0%25") == ["a/100%.png"]
    assert paths(ana, "text=1_0") == ["a/1_0.png"]


def test_sizes_are_those_of_the_shorter_side(ana: Ana) -> None:
    ana.bring({"small.png": encode(draw("circle", 1, 24)), "large.png": encode(draw("circle", 1, 80))})

    assert (paths(ana, "side=-24"), paths(ana, "side=25-80"), paths(ana, "side=81-")) == (
        ["small.png"],
        ["large.png"],
        [],
    )


def test_single_pictures_are_listed_by_their_ids_in_any_order_of_lists(ana: Ana) -> None:
    bring_names(ana, "c.png", "a.png", "b.png")
    ids = {image["path"]: image["id"] for image in ana.images()}
    query = f"ids={ids['c.png']},{ids['a.png']},{'0' * 32}"

    assert paths(ana, query) == ["c.png", "a.png"]
    assert paths(ana, f"{query}&order=name") == ["a.png", "c.png"]
    page = ana.client.get(f"/datasets/{ana.dataset_id}/images?{query}", headers={"Accept": "text/html"}).text
    assert "2 pictures</h1>" in page
    deleted = ana.client.request("DELETE", f"/api/v1/datasets/{ana.dataset_id}/images", json={"filter": query})
    assert deleted.json()["deleted"] == 2
    assert paths(ana, "") == ["b.png"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("side=x", "side-range-invalid"),
        ("side=-", "side-range-invalid"),
        ("run=nosuch", "run-without-results"),
        ("result=wrong", "run-without-results"),
        ("order=class", "no-version"),
        ("flag=nosuch", "flag-unknown"),
        ("ids=nosuch", "ids-invalid"),
        (f"ids={','.join(f'{number:032x}' for number in range(201))}", "ids-invalid"),
    ],
)
def test_a_filter_that_does_not_exist_is_refused(ana: Ana, query: str, code: str) -> None:
    answer = ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images?{query}")

    assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)


def test_pictures_that_a_run_got_wrong_are_listed_with_what_it_said(ana: Ana, services: Services) -> None:
    ana.bring_shapes(5)
    version = ana.freeze({"kind": "folder"})
    run_id = add_results(services, version["id"])

    wrong, right = (ana.images(f"run={run_id}&result={result}") for result in ("wrong", "right"))

    assert [image["answer"] for image in wrong] == [
        {"predicted": "something else", "probability": 0.75, "is_right": False}
    ]
    assert (len(right), {image["answer"]["is_right"] for image in right}) == (2, {True})
    page = ana.client.get(
        f"/datasets/{ana.dataset_id}/images?run={run_id}&result=wrong", headers={"Accept": "text/html"}
    ).text
    assert f"labelled {wrong[0]['label']}, predicted something else (75%)" in page


def test_mistakes_are_listed_in_any_order_a_part_of_the_pictures_at_a_time(
    ana: Ana, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.bring_shapes(5)
    version = ana.freeze({"kind": "folder"})
    run_id = add_results(services, version["id"])
    [wrong] = paths(ana, f"run={run_id}&result=wrong")
    tested = sorted(paths(ana, f"run={run_id}"))
    monkeypatch.setattr(repository, "LOOKED_THROUGH", 2)

    assert [walked(ana, f"run={run_id}&result=wrong&order={order}") for order in ("name", "class")] == [[wrong]] * 2
    assert sorted(walked(ana, f"run={run_id}&order=name")) == tested
    assert len(ana.images(f"run={run_id}&order=name")) < len(tested)


def test_one_class_is_listed_class_by_class_where_the_list_does_not_begin_after_it(ana: Ana) -> None:
    ana.bring_shapes(2)
    ana.freeze({"kind": "folder"})
    crosses = ["shapes/cross/0.png", "shapes/cross/1.png"]

    assert [paths(ana, f"order=class&class=cross{beginning}") for beginning in ("", "&from=cross", "&from=square")] == [
        crosses,
        crosses,
        [],
    ]


def test_all_that_is_known_of_a_picture_is_in_one_answer(ana: Ana, services: Services) -> None:
    picture = encode(draw("circle", 50))
    ana.bring_shapes(5)
    ana.bring({"circle/x.png": picture, "circle/y.jpg": picture})
    version = ana.freeze({"kind": "folder"})
    add_results(services, version["id"])
    tested = ana.images(f"version={version['id']}&split=valid")[0]
    twice = ana.images("flag=exact_duplicate")[0]

    one, other = (
        ana.client.get(f"/api/v1/datasets/{ana.dataset_id}/images/{image['id']}").json() for image in (tested, twice)
    )

    assert one["versions"] == [
        {"version_id": version["id"], "number": 1, "label": one["label"], "split": "valid"},
    ]
    [run] = one["runs"]
    assert (run["name"], run["predicted"], run["is_right"], run["probability_predicted"]) == (
        "stage 1",
        "something else",
        False,
        0.75,
    )
    assert (other["paths"], other["flags"]) == (["circle/x.png", "circle/y.jpg"], ["exact_duplicate"])
    assert (other["file"]["colours"], other["file"]["exif"], other["file"]["has_place"]) == ("colours (RGB)", {}, False)
    text = ana.client.get(f"/datasets/{ana.dataset_id}/images/{tested['id']}", headers={"Accept": "text/html"}).text
    assert "something else" in text
    assert "wrong" in text


def test_previous_and_next_stay_within_the_filter(ana: Ana) -> None:
    ana.bring_shapes(4)
    ana.freeze({"kind": "folder"})
    crosses = ana.images("class=cross")

    text = ana.client.get(
        f"/datasets/{ana.dataset_id}/images/{crosses[1]['id']}?class=cross&order=name", headers={"Accept": "text/html"}
    ).text

    base = f"/datasets/{ana.dataset_id}/images"
    assert f'rel="prev" data-key="ArrowLeft" href="{base}/{crosses[0]["id"]}?class=cross&amp;order=name"' in text
    assert f'rel="next" data-key="ArrowRight" href="{base}/{crosses[2]["id"]}?class=cross&amp;order=name"' in text


def test_a_list_takes_the_same_few_statements_however_long_it_is(ana: Ana, services: Services) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})

    def statements(limit: int) -> int:
        with statements_of(services.database) as sent:
            ana.images(f"class=circle&split=train&text=.png&version={version['id']}&limit={limit}")
        return len([statement for statement in sent if "FROM version_images" in statement])

    assert statements(1) == statements(12) == 2


def test_initials_are_found_one_step_each(ana: Ana, services: Services) -> None:
    bring_names(ana, "a/zoo.png", "b/10.png", "c/Ant.png", "d/ape.png", "e/éclair.png", "f/9.png")

    with statements_of(services.database) as sent, services.database.read() as session:
        found = PictureLists(session).initials(ana.dataset_id)

    assert (found, len(sent)) == (["0", "a", "z", "é"], 1)


def test_counts_come_from_stored_totals_or_stop_early(
    ana: Ana, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana.bring_shapes(4)
    version = ana.freeze({"kind": "folder"})
    of_class = ImageFilter(version_id=version["id"], label="circle", split="train")
    monkeypatch.setattr(repository, "MOST_COUNTED", 2)

    with statements_of(services.database) as sent, services.database.read() as session:
        lists = PictureLists(session)
        whole, stored = lists.count(ana.dataset_id, ImageFilter()), lists.count(ana.dataset_id, of_class)
    with services.database.read() as session:
        capped = PictureLists(session).count(ana.dataset_id, ImageFilter(text="png", order=ListOrder.NAME))

    assert (whole.images, whole.is_exact, stored.is_exact) == (12, True, True)
    assert stored.images == version["counts"]["circle"]["train"]
    assert not [statement for statement in sent if "count(" in statement]
    assert (capped.images, capped.is_exact) == (2, False)


def test_the_page_says_what_a_flag_means(ana: Ana) -> None:
    ana.bring({"thin.png": encode(draw("circle", 1).resize((300, 20)))})
    image: Json = ana.images()[0]

    text = ana.client.get(f"/datasets/{ana.dataset_id}/images/{image['id']}", headers={"Accept": "text/html"}).text

    assert "Very long or very wide." in text
    assert "the network sees only a part of it" in text
