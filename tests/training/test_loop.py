"""The training loop, on a network small enough to know what it must come to."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from resect.errors import ResectError
from resect.training.checkpoint import checkpoint_path
from resect.training.loop import Turn, train
from resect.training.settings import TrainingSettings
from resect.training.state import rate

SETTINGS = TrainingSettings(batch=8, steps=12, rate=0.05, tensorboard=False)
TRUE = torch.tensor([[1.0, -2.0, 0.5]])


def batch(turn: Turn) -> tuple[Tensor, Tensor]:
    """Rows of a line with noise."""
    g = np.random.default_rng([turn.seed, turn.step])
    x = torch.from_numpy(g.normal(size=(SETTINGS.batch, 3))).float()
    x = x[turn.mine(range(SETTINGS.batch))]
    return x, x @ TRUE.T


def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Mapping[str, Tensor]:
    error = network(batch[0]) - batch[1]
    return {"loss": error.square().mean(), "absolute": error.abs().mean()}


def line(dropout: float = 0.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Dropout(dropout), nn.Linear(3, 1))


def run(settings: TrainingSettings = SETTINGS, network: nn.Module | None = None, **more: Any) -> dict[str, Tensor]:
    facts = {"seed": 3, "data": "line", "batch": batch, "loss": loss, **more}
    trained = train(network or line(), settings=settings, **facts)
    return {k: v.clone() for k, v in trained.state_dict().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(a[k], b[k]) for k in a) and a.keys() == b.keys()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_it_finds_the_line(optimizer: Any) -> None:
    found = run(replace(SETTINGS, steps=300, optimizer=optimizer))
    assert torch.allclose(found["1.weight"], TRUE, atol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_interrupted_and_resumed_it_is_the_same_network(tmp_path: Path, optimizer: Any) -> None:
    settings = replace(SETTINGS, optimizer=optimizer, ahead=2)
    whole = run(settings, line(0.5))

    def stop(done: int, steps: int, remark: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resect.training.loop._LOG_EVERY", 5)
        with pytest.raises(KeyboardInterrupt, match="after 5 of 12"):
            run(settings, line(0.5), out=tmp_path, progress=stop)
    resumed = run(settings, line(0.5), out=tmp_path, resume=True, seed=99)
    assert same(whole, resumed)


def test_dropout_depends_on_seed_and_step_and_leaves_the_global_state() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = run(network=line(0.5))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert same(first, run(network=line(0.5)))
    assert not same(first, run(network=line(0.5), seed=4))


def test_the_best_network_is_kept_across_a_resume(tmp_path: Path) -> None:
    scores = iter([1.0, 5.0, 2.0, 1.0, 0.0])
    kept: dict[float, dict[str, Tensor]] = {}

    def judge(network: nn.Module) -> dict[str, float]:
        assert not network.training
        score = next(scores)
        kept[score] = {k: v.clone() for k, v in network.state_dict().items()}
        if score == 2.0:
            signal.raise_signal(signal.SIGINT)
        return {"validation": score}

    settings = replace(SETTINGS, validate_every=3)
    with pytest.raises(KeyboardInterrupt):
        run(settings, out=tmp_path, judge=judge)
    assert same(run(settings, out=tmp_path, judge=judge, resume=True), kept[5.0])
    lines = [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [x["validation"] for x in lines if "validation" in x] == [1.0, 5.0, 2.0, 1.0]


def test_another_run_is_not_taken_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(out=tmp_path, batch=lambda turn: (signal.raise_signal(signal.SIGINT), batch(turn))[1])
    for settings, data, said in ((replace(SETTINGS, rate=0.1), "line", "rate"), (SETTINGS, "curve", "data")):
        with pytest.raises(ResectError, match=said):
            run(settings, data=data, out=tmp_path, resume=True)
    with pytest.raises(ResectError, match="state of this network"):
        run(network=nn.Sequential(nn.Dropout(0.0), nn.Linear(3, 2)), out=tmp_path, resume=True)
    assert checkpoint_path(tmp_path).is_file()


def test_a_loss_that_is_not_finite_is_an_error_and_saves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ResectError, match="finite"):
        run(out=tmp_path, loss=lambda network, made: {"loss": loss(network, made)["loss"] * float("nan")})
    assert not checkpoint_path(tmp_path).exists()


def test_lower_precision_still_finds_the_line() -> None:
    found = run(replace(SETTINGS, steps=300, precision="bfloat16"))
    assert found["1.weight"].dtype == torch.float32
    assert torch.allclose(found["1.weight"], TRUE, atol=0.05)


def test_schedules() -> None:
    s = replace(SETTINGS, steps=100, rate=1.0, final_rate=0.2, warmup=9, drop_every=30)
    assert rate(0, s) == pytest.approx(0.1, rel=1e-3)
    assert rate(50, s) == pytest.approx(0.6)
    assert rate(100, s) == pytest.approx(0.2)
    assert [rate(i, replace(s, schedule="drops")) for i in (29, 30, 60)] == pytest.approx([1.0, 0.1, 0.01])
    assert [rate(i, replace(s, schedule="exponential")) for i in (30, 60)] == pytest.approx([0.1, 0.01])
    assert rate(99, replace(s, schedule="constant")) == 1.0


def test_clipping_bounds_the_step() -> None:
    s = replace(SETTINGS, steps=1, optimizer="sgd", rate=1.0, clip=1e-3)
    before, after = line().state_dict(), run(s)
    assert sum(float((after[k] - before[k]).square().sum()) for k in after) == pytest.approx(1e-6, rel=1e-3)


@pytest.mark.parametrize("clip", [0.0, 1e-3])
def test_tensorboard_shows_the_gradients_norm_now_and_then(tmp_path: Path, clip: float) -> None:
    pytest.importorskip("tensorboard")
    settings = replace(SETTINGS, clip=clip, optimizer="sgd", rate=1e-9, momentum=0.0)
    plain = run(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resect.training.loop._NORM_EVERY", 6)
        patch.setattr("resect.training.loop._LOG_EVERY", 3)
        drawn = run(replace(settings, tensorboard=True), out=tmp_path)
    assert same(plain, drawn)
    norms = {}
    for row in map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines()):
        norms[row["step"]] = row.get("gradient_norm")
    assert sorted(k for k, v in norms.items() if v is not None) == [6, 12]
    network = line()
    terms = loss(network, batch(Turn(5, 3)))
    slopes = torch.autograd.grad(terms["loss"], list(network.parameters()))
    assert norms[6] == pytest.approx(sum(float(x.square().sum()) for x in slopes) ** 0.5, rel=1e-5)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"rate": 0.0}, {"rate": float("nan")}, {"momentum": 1.0}, {"drop_to": 2.0}]
)
def test_settings_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(ResectError, match=next(iter(wrong))):
        TrainingSettings(**wrong)


def test_two_processes_make_the_network_of_one(tmp_path: Path) -> None:
    """As torchrun starts them: gloo, each with half of every batch."""
    script = (
        "import sys, torch; from pathlib import Path; from tests.training.test_loop import SETTINGS, run\n"
        "found = run(out=Path(sys.argv[1]), resume=True)\n"
        "import os; torch.save(found, Path(sys.argv[1]) / f'rank{os.environ[\"RANK\"]}.pt')"
    )
    port = str(29500 + os.getpid() % 1000)
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            cwd=root,
            env={**shared, "RANK": str(r), "LOCAL_RANK": str(r)},
        )
        for r in range(2)
    ]
    try:
        assert [p.wait(250) for p in running] == [0, 0]
    finally:
        for p in running:
            p.kill()
            p.wait()
    alone = run()
    for r in range(2):
        found = torch.load(tmp_path / f"rank{r}.pt", weights_only=True)
        for name, tensor in alone.items():
            assert torch.allclose(found[name], tensor, atol=1e-5), name
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 1
