# SPDX-License-Identifier: GPL-3.0-or-later
"""Training steps on a GPU: the same loss as on the CPU, and gradients without mixed precision's overflow."""

from __future__ import annotations

import pytest
import torch

from tests.small_stages import SMALL, rings, small_stage
from training.stages.stage import laid_out
from training.trainer.configuration import StageName

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")


@pytest.mark.parametrize("name", SMALL)
def test_a_step_on_the_gpu_is_that_of_the_cpu(name: StageName) -> None:
    stage = small_stage(name).eval()
    with torch.no_grad():
        known = stage.total(stage.terms(laid_out(rings())))
    stage = stage.to("cuda").lay_out().train()
    batch = {key: values.to("cuda") for key, values in rings().items()}
    with torch.no_grad():
        found = stage.eval().total(stage.terms(laid_out(batch)))
    torch.testing.assert_close(found.cpu(), known, rtol=2e-2, atol=1e-3)
    with torch.autocast("cuda", torch.bfloat16):
        loss = stage.train().total(stage.terms(laid_out(batch)))
    loss.backward()
    gradients = [parameter.grad for parameter in stage.parameters() if parameter.grad is not None]
    assert gradients and all(gradient.isfinite().all() for gradient in gradients)
