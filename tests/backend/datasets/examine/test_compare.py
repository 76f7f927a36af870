"""What is written down of pictures that show the same, on both databases."""

from sqlalchemy import delete, select

from backend.datasets.examine.compare import compare
from backend.datasets.examine.measuring import fill_missing
from backend.imaging.pool import decoding_pool
from backend.ledger.job import JobKind
from backend.tables.examination import ExaminationRow, ImageMeasuresRow, ImagePairRow
from tests.backend.datasets.conftest import Ana
from tests.fixtures.pictures import draw, encode


def pairs_of(ana: Ana) -> set[frozenset[str]]:
    paths = {image["id"]: image["path"] for image in ana.images()}
    with ana.services.database.read() as session:
        return {
            frozenset((paths[pair.first_id], paths[pair.second_id])) for pair in session.scalars(select(ImagePairRow))
        }


def compare_all(ana: Ana, *, stop: bool = False) -> str | None:
    """Compare, and say up to which picture it is done."""
    services = ana.services
    compare(
        services.open_unit(),
        services.storage,
        ana.dataset_id,
        None,
        fence=lambda _session: None,
        should_stop=lambda: stop,
    )
    with services.database.read() as session:
        return session.get_one(ExaminationRow, ana.dataset_id).compared_until


def begin(ana: Ana) -> None:
    with ana.services.open_unit()() as unit:
        job_id = unit.enqueue(JobKind.IMPORT, ana.dataset_id)
        unit.session.add(ExaminationRow(dataset_id=ana.dataset_id, job_id=job_id))


def test_new_pictures_are_compared_with_all_and_a_deleted_one_is_no_copy_of_anything(ana: Ana) -> None:
    begin(ana)
    ana.bring({"a.png": encode(draw("cross", 1)), "b.png": encode(draw("circle", 2))})
    assert compare_all(ana, stop=True) is None
    until = compare_all(ana)
    ana.bring({"again.bmp": encode(draw("cross", 1), "BMP")})

    assert compare_all(ana) != until
    assert pairs_of(ana) == {frozenset({"a.png", "again.bmp"})}
    assert {image["path"] for image in ana.images("flag=exact_duplicate")} == {"a.png", "again.bmp"}
    [copy] = [image["id"] for image in ana.images() if image["path"] == "again.bmp"]
    ana.client.request("DELETE", f"/api/v1/datasets/{ana.dataset_id}/images", json={"ids": [copy]})
    assert ana.images("flag=exact_duplicate") == []


def test_pictures_from_before_measures_are_measured_once(ana: Ana) -> None:
    ana.bring_shapes(2)
    services = ana.services
    with services.database.write() as session:
        before = {row.image_id: row.pixels for row in session.scalars(select(ImageMeasuresRow))}
        session.execute(delete(ImageMeasuresRow))

    for _ in range(2):
        fill_missing(
            services.open_unit(),
            services.storage,
            decoding_pool(),
            ana.dataset_id,
            fence=lambda _session: None,
            should_stop=lambda: False,
        )

    with services.database.read() as session:
        assert {row.image_id: row.pixels for row in session.scalars(select(ImageMeasuresRow))} == before
    assert len(before) == 6
