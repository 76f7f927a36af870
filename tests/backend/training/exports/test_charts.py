from backend.domain.training import Stage
from backend.tables.training import EpochRow
from backend.training.exports.charts import HEIGHT, WIDTH, loss_chart, rate_chart
from backend.training.exports.facts import StageDone

STAGE = Stage(freeze=True, epochs=2, max_lr=2e-3, train_batch_norm=False, warmup=0.25, start_div=25, final_div=1e5)


def done(*valid_losses: float) -> StageDone:
    rows = (EpochRow(stage=0, epoch=epoch, valid_loss=loss) for epoch, loss in enumerate(valid_losses))
    return StageDone(0, STAGE, tuple(rows), ())


def points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in text.split())]


def test_the_highest_loss_is_at_the_top_and_the_last_batch_on_the_right() -> None:
    steps = [
        {"stage": 0, "step": 2, "losses": [4.0, 2.0]},
        {"stage": 0, "step": 4, "losses": [1.0, 2.0]},
        {"stage": 1, "step": 1, "losses": [9.0]},
    ]

    chart = loss_chart(done(2.0, 1.0), steps)

    train, valid = chart.lines
    assert points(train.points) == [(150, 0), (300, HEIGHT / 2), (450, 0.75 * HEIGHT), (WIDTH, HEIGHT / 2)]
    assert valid.dots == ((300.0, HEIGHT / 2), (WIDTH, 0.75 * HEIGHT))
    assert [words for _, words in chart.ticks] == ["0", "1", "2", "3", "4"]


def test_thousands_of_batches_are_a_line_of_three_hundred_points() -> None:
    steps = [{"stage": 0, "step": 10 * part + 10, "losses": [1.0] * 10} for part in range(1000)]

    assert len(points(loss_chart(done(1.0, 1.0), steps).lines[0].points)) <= 300


def test_without_any_batch_the_epochs_are_drawn() -> None:
    assert loss_chart(done(2.0, 1.0), []).lines[1].dots == ((300.0, 0.0), (600.0, HEIGHT / 2))


def test_the_rate_rises_to_its_top_at_the_end_of_the_warm_up() -> None:
    chart = rate_chart(done(1.0))

    top = min(points(chart.lines[0].points), key=lambda point: point[1])
    assert top == (150.0, 0.0)
    assert chart.ticks[0] == (0.0, "2e-3")
