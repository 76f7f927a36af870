import pytest
import torch

from worker.engine.hardware.copy_stream import Sender


def test_a_processor_does_all_in_order() -> None:
    inputs, targets = torch.ones(2, 3), torch.tensor([0, 1])

    sent = Sender(torch.device("cpu")).send(lambda: (inputs, targets))

    assert sent[0] is inputs
    assert sent[1] is targets


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpus_steps_wait_for_what_was_sent() -> None:
    gpu = torch.device("cuda:0")
    pixels = torch.ones(64, 3, 64, 64).pin_memory()
    sender = Sender(gpu)

    inputs, _ = sender.send(lambda: (pixels.to(gpu, non_blocking=True) * 2, torch.zeros(64, device=gpu)))

    assert inputs.sum().item() == 2 * 64 * 3 * 64 * 64
