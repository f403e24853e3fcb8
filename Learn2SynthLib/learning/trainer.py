"""The training loop: one for all strategies. It yields events and leaves the run folder ready to resume at any moment."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..config import STRATEGIES as FACTS
from ..config import RunConfig
from ..errors import InputError
from ..files import written_aside
from ..randomness import stream_seed
from ..run import Run
from ..segmentation.device import check_precision, choose_device, is_out_of_memory
from ..segmentation.pretrained import Pretrained
from ..volume.cohort import Cohort, Subject
from .bundle import make_model
from .data import Example, Preparation, load_examples, preparation_for
from .factory import make_network, make_synthesizer
from .needs import check_needs, split_real, synthesis_pool, with_partial_marked
from .previews import write_preview
from .strategies import STRATEGIES
from .strategy import Strategy, Task
from .validation import apart, estimate_note, validate

Event = dict[str, Any]
_REPORTS = 500  # step events of a whole run
_SILENCE_S = 20.0  # after which slow steps are reported all the same


class Trainer:
    """Trains one run. `run` is prepared and locked by the caller.

    Raises InputError when the cohort lacks what the strategy needs.
    """

    def __init__(self, config: RunConfig, cohort: Cohort, run: Run) -> None:
        check_needs(config, cohort, run.checkpoint_path.is_file())
        self.config, self.cohort, self.run = config, cohort, run
        self.device = choose_device(config.device)
        check_precision(config.optimiser.precision, self.device)
        self.done, self.best, self.stale = 0, -1.0, 0
        self.pretrained: dict[str, Any] | None = None  # what the weights began with

    def events(self) -> Iterator[Event]:
        """Trains to the end, or until a stop is requested; every event is in the run's log before it is yielded.

        Closing the iterator leaves a checkpoint and a model behind, as a stop does.
        """
        yield self.run.append("loading", subjects=len(self.cohort.subjects))
        self.strategy, self.scans, self.note = self._set_up()
        self._resume()
        yield self._started()
        if not self.done:
            yield self._preview()
        clock = self.told = time.monotonic()
        try:
            while self.done < self.config.steps:
                if self.run.stop_requested():
                    yield from self._stop()
                    return
                yield from self._step(clock)
        except GeneratorExit:
            list(self._stop())
            raise
        yield from self._finish(clock)

    def _set_up(self) -> tuple[Strategy, list[Example], str]:
        """Strategy, examples to validate on, and what that validation is worth."""
        config, cohort = self.config, self.cohort
        preparation = preparation_for(config, cohort.tables)
        real_subjects, scan_subjects, independent = split_real(config, cohort)
        learned = real_subjects if "real" in FACTS[config.strategy].needs or config.synthesis.real_label_maps else []
        map_subjects: Sequence[Subject] = cohort.of("label_map")
        if independent:
            map_subjects, independent = apart(map_subjects, learned, scan_subjects, self.run.cohort())
        left_out = len(cohort.of("label_map")) - len(map_subjects)
        real, scans, maps = (load_examples(s, preparation) for s in (real_subjects, scan_subjects, map_subjects))
        real = with_partial_marked(real, maps, preparation.classes)
        pool = synthesis_pool(config, maps, real)
        task = self._task(preparation, pool, real)
        if "unlabelled" in FACTS[config.strategy].needs:
            task.unlabelled = (preparation.unlabelled(subject) for subject in cohort.of("unlabelled"))
        return STRATEGIES[config.strategy](task), scans, estimate_note(len(scans), independent, left_out)

    def _task(self, preparation: Preparation, pool: Sequence[Example], real: Sequence[Example]) -> Task:
        config = self.config
        torch.manual_seed(stream_seed(config.seed, "weights") % 2**31)  # initial weights; nothing later draws from it
        network = make_network(config, len(preparation.target.labels)).to(self.device)
        if config.network.pretrained and not self.run.checkpoint_path.is_file():
            self.pretrained = Pretrained.read(config.network.pretrained).load_into(network, preparation.target)
        synthesizer = make_synthesizer(config, preparation).to(self.device)
        return Task(config, preparation.target, network, _optimiser(config, network), synthesizer, pool, real, self.device)

    def _started(self) -> Event:
        parameters = sum(p.numel() for p in self.strategy.task.network.parameters())
        return self.run.append(
            "started",
            step=self.done,
            steps=self.config.steps,
            strategy=self.config.strategy,
            device=str(self.device),
            parameters=parameters,
            prior=_rounded(self.strategy.prior()),
            pretrained=self.pretrained,
            note=self.note if self.scans else "no annotated real scan to validate on",
        )

    def _step(self, clock: float) -> Iterator[Event]:
        config, step = self.config, self.done
        optimiser = self.strategy.task.optimiser
        if step in self.strategy.phases:
            optimiser.state.clear()  # each phase is a training of its own
        for group in optimiser.param_groups:
            group["lr"] = config.optimiser.lr * _schedule(config, self.strategy.phases, step)
        losses = self.strategy.step(step)
        _check_finite(losses, step)
        self.done = done = step + 1
        if done % max(1, config.steps // _REPORTS) == 0 or time.monotonic() >= self.told + _SILENCE_S:
            yield self._report(losses, clock)
        if done % config.validate_every == 0 and self.strategy.phases[0] < done < config.steps and self.scans:
            yield self._validate()
        if done % config.preview_every == 0:
            yield self._preview()
        if done % config.checkpoint_every == 0:
            yield self._checkpoint()

    def _report(self, losses: dict[str, float], clock: float) -> Event:
        done, self.told = self.done, time.monotonic()
        seconds = self.told - clock
        eta = seconds / (done - self.first) * (self.config.steps - done)
        return self.run.append(
            "step",
            step=done,
            steps=self.config.steps,
            **_rounded(losses),
            learned=_rounded(self.strategy.learned()),
            seconds=round(seconds, 2),
            eta_seconds=round(eta, 1),
        )

    def _validate(self) -> Event:
        content = {"step": self.done, **validate(self.strategy.task, self.scans, self.note)}
        score = content["dice"]["mean"]
        self.stale = 0 if score > self.best else self.stale + 1
        if score > self.best:
            self.best = score
            self._keep(content)
        if self.stale >= self.config.patience:
            content["advice"] = f"no gain in the last {self.stale} validations: you can stop"
        return self.run.append("validated", **content, best=round(self.best, 5))

    def _keep(self, validation: Event | None) -> None:
        self._check_weights()
        make_model(self.strategy, self.run.cohort(), validation, self.done, self.pretrained).write(self.run.model_path)

    def _preview(self) -> Event:
        example = self.scans[0] if self.scans else None
        return self.run.append("preview", step=self.done, paths=write_preview(self.strategy, example, self.run.previews, self.done))

    def _check_weights(self) -> None:
        """What is on disk stays usable: the last step may have broken weights, or what else is learned, whose loss was fine."""
        for what, learned in (("weights", self.strategy.task.network.state_dict()), ("what the strategy learns", self.strategy.state())):
            if not _is_finite(learned):
                raise FloatingPointError(f"{what} not finite after step {self.done}")

    def _checkpoint(self) -> Event:
        self._check_weights()
        task = self.strategy.task
        state = {
            "step": self.done,
            "best": self.best,
            "stale": self.stale,
            "network": task.network.state_dict(),
            "optimiser": task.optimiser.state_dict(),
            "strategy": self.strategy.state(),
            "pretrained": self.pretrained,
        }
        content = io.BytesIO()  # torch tells a full disk in words of its own
        torch.save(state, content)
        with written_aside(self.run.checkpoint_path) as aside:
            aside.write_bytes(content.getvalue())
        return self.run.append("checkpoint", step=self.done)

    def _resume(self) -> None:
        if self.run.checkpoint_path.is_file():
            try:
                self._take(torch.load(self.run.checkpoint_path, map_location=self.device, weights_only=True))
            except Exception as error:  # torch raises many kinds for a file that is damaged, or of something else
                if is_out_of_memory(error):
                    raise
                remedy = "delete it to train this run from the start"
                raise InputError(self.run.checkpoint_path, f"cannot be used ({type(error).__name__})", remedy=remedy) from error
        self.first = self.done

    def _take(self, state: dict[str, Any]) -> None:
        self.done, self.best, self.stale = state["step"], state["best"], state["stale"]
        self.strategy.task.network.load_state_dict(state["network"])
        self.strategy.task.optimiser.load_state_dict(state["optimiser"])
        self.strategy.load_state(state["strategy"])
        self.pretrained = state["pretrained"]

    def _stop(self) -> Iterator[Event]:
        """Everything on disk, so that the run can be used now and resumed later."""
        yield self._checkpoint()
        if self.best < 0 or not self.run.model_path.is_file():  # without a validation the newest is the best
            self._keep(None)
        self.run.clear_stop()
        yield self.run.append("stopped", step=self.done, model=self.run.model_path.name)

    def _finish(self, clock: float) -> Iterator[Event]:
        if self.scans:
            yield self._validate()
        else:
            self._keep(None)
        yield self._checkpoint()
        self.run.clear_stop()  # one that came too late
        best = {"best": round(self.best, 5), "note": self.note} if self.scans else {}
        yield self.run.append("finished", step=self.config.steps, model=self.run.model_path.name, seconds=round(time.monotonic() - clock, 1), **best)


def _optimiser(config: RunConfig, network: torch.nn.Module) -> torch.optim.Optimizer:
    if config.optimiser.name == "sgd":
        return torch.optim.SGD(network.parameters(), lr=config.optimiser.lr, momentum=config.optimiser.momentum)
    return torch.optim.Adam(network.parameters(), lr=config.optimiser.lr)


def _schedule(config: RunConfig, phases: Sequence[int], step: int) -> float:
    """Part of the learning rate at `step`: from 1 to 0 over each phase."""
    begun, over = max((phase for phase in phases if phase <= step), default=0), min((phase for phase in phases if phase > step), default=config.steps)
    return 1.0 if config.optimiser.schedule == "constant" else 0.5 * (1 + math.cos(math.pi * (step - begun) / (over - begun)))


def _is_finite(state: Any) -> bool:
    """Whether all numbers in tensors are, however deep they lie."""
    if isinstance(state, torch.Tensor):
        return bool(state.isfinite().all())
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return all(_is_finite(part) for part in parts)


def _check_finite(losses: dict[str, float], step: int) -> None:
    broken = [name for name, value in losses.items() if not math.isfinite(value)]
    if broken:
        raise FloatingPointError(f"{' and '.join(broken)} not finite at step {step + 1}")


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}
