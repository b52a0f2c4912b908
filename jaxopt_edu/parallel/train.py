"""The loop of one training: a segment of steps, a look at it, a checkpoint."""

import contextlib
import hashlib
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.engine import Settings, loss_first
from jaxopt_edu.exchange import check_same, processes
from jaxopt_edu.files import to_json
from jaxopt_edu.fingerprint import fingerprints
from jaxopt_edu.history import RUNNING, History, Run
from jaxopt_edu.parallel import steps
from jaxopt_edu.parallel.feed import Feed
from jaxopt_edu.parallel.layout import Layout
from jaxopt_edu.parallel.means import Means
from jaxopt_edu.parallel.peers import watched
from jaxopt_edu.parallel.source import Source
from jaxopt_edu.parallel.store import Store, Way, opened
from jaxopt_edu.programs import ALIVE
from jaxopt_edu.progress import Progress
from jaxopt_edu.workers import Interrupts

WAIT_EVERY = 4  # steps on batches of a stream that are on their way at the same time


@dataclass(frozen=True)
class Job:
    """A training of `experiment`, whose arrays are on the devices of the layout."""

    experiment: Any
    layout: Layout
    settings: Settings
    seed: int
    source: Source | None  # of its batches; None: the training part of its data
    ahead: int  # batches of the source that are read before their time

    @property
    def shared(self) -> tuple[Layout, Any]:
        return self.layout, self.experiment

    def begin(self) -> Any:
        return steps.begin(*self.shared, np.uint32(self.seed))

    def feeding(self, way: Way) -> Any:
        """The stream where a training is to go on, while entered; None without a stream."""
        if self.source is None or way.status != RUNNING:
            return contextlib.nullcontext()
        data, stops = self.experiment.data, self.settings.stops
        return Feed(
            self.source, self.layout, data.train, stops, self.ahead, way.position, data.n_classes
        )

    def advance(self, way: Way, stop: int) -> None:
        """Takes the steps up to stop, or to where the gradient is small enough."""
        above, tol = np.float32(self.settings.diverge_above), self.settings.tol
        way.lane, t = steps.advance(
            *self.shared, way.lane, np.uint32(self.seed), np.int32(way.t), np.int32(stop), above,
            None if tol is None else np.float32(tol),
        )  # fmt: skip
        way.t = int(t)

    def learn_from(self, feed: Feed, way: Way, stop: int, interrupts: Interrupts) -> None:
        """Takes the steps up to stop on the batches of a stream."""
        above = np.float32(self.settings.diverge_above)
        while way.t < stop and not interrupts.heard:
            batch = feed.next()
            way.lane = steps.take(
                *self.shared, way.lane, batch, np.uint32(self.seed), np.int32(way.t), above
            )
            way.t += 1
            if way.t % WAIT_EVERY == 0:
                jax.block_until_ready(way.lane)
        way.position = feed.position

    def look(self, way: Way, stop: int) -> None:
        """Evaluates, remembers the best state where patience asks for it, and judges."""
        scores, died, reason = self._look(way)
        if reason != ALIVE and died < way.t and self.source is None:
            way.lane, way.t = self.begin(), 0  # the program went on to the end of its segment
            self.advance(way, int(died))
            scores, died, reason = self._look(way)
        way.t = way.t if reason == ALIVE else int(died)
        better = way.history.note(way.t, {name: float(x) for name, x in scores.items()})
        if better and reason == ALIVE and way.history.patience is not None:
            way.best = steps.copied(way.lane.state)
        way.died, way.reason = int(died), int(reason)
        if way.reason != ALIVE:
            way.status = "diverged"
        elif self.settings.tol is not None and way.t < stop:
            way.status = "converged"
        elif way.history.waited_enough:
            way.status = "stopped early"
        elif way.t == self.settings.steps:
            way.status = "finished"

    def _look(self, way: Way) -> Any:
        found = steps.look(*self.shared, way.lane, np.int32(way.t), self.settings.split)
        return jax.device_get(found)

    def end(self, way: Way) -> Run:
        """Scores the state at the end, or the best one, on every split."""
        state = way.lane.state if way.best is None else way.best
        found = jax.device_get(steps.score(*self.shared, state, self.settings.splits))
        scores = {
            split: {name: float(x) for name, x in loss_first(found[split]).items()}
            for split in self.settings.splits
        }
        history = way.history.columns(self.settings.names)
        why = way.history.why(way.status, way.reason)
        return Run(self.experiment, _own(state), way.t, way.status, why, history, scores, self.seed)


def train(
    experiment: Any,
    settings: Settings,
    history: History,
    seed: int,
    means: Means,
    progress: bool | None,
) -> Run:
    """Runs one training by these means."""
    asked = means.asked(experiment, settings, history, seed)
    identity = fingerprints({"experiment": experiment})
    if processes() > 1:
        told = {name: x for name, x in asked.items() if name != "experiment"}
        text = (identity.digest + to_json(told, sort_keys=True)).encode()
        check_same("what jo.fit is asked for", int(hashlib.sha256(text).hexdigest()[:15], 16))
    layout = means.layout()
    source = None if means.batches is None else Source(means.batches)
    job = Job(layout.put(experiment), layout, settings, seed, source, means.prefetch)
    bar = Progress(settings.steps, progress if jax.process_index() == 0 else False)
    with opened(means.store, asked, identity, layout) as files, Interrupts() as interrupts:
        like = steps.begin.eval_shape(*job.shared, np.uint32(seed))
        way = None if files is None else files.read(like, source is not None)
        if way is None:
            way = Way(job.begin(), history)
        way.go_on(settings, history)
        check_same("the step at which the store goes on", way.t)
        with watched(lambda: _where(way, settings, files)):
            _run(job, way, files, bar, interrupts)
            return job.end(way)


def _run(job: Job, way: Way, files: Store | None, bar: Progress, interrupts: Interrupts) -> None:
    """Goes on until something ends it."""
    with contextlib.closing(bar), job.feeding(way) as feed:
        while way.status == RUNNING:
            first, stop = way.t, job.settings.next_stop(way.t)
            if feed is None:
                job.advance(way, stop)
            else:
                job.learn_from(feed, way, stop, interrupts)
            job.look(way, stop)
            bar.advance(way.t - first, way.history.last)
            if files is not None and (way.t == stop or way.status != RUNNING):
                files.write(way)
            if interrupts.heard and way.status == RUNNING:
                if processes() > 1:
                    raise KeyboardInterrupt
                way.status = "interrupted"


def _where(way: Way, settings: Settings, files: Store | None) -> str:
    """Where a job was when it ended, and what to do."""
    again = "start all processes again"
    if files is None:
        again += ": without store= they begin anew"
    else:
        again += f": from {files.directory} they go on at step {files.saved}"
    return f"after step {way.t} of {settings.steps}; {again}"


def _own(state: Any) -> Any:
    """A state whose arrays, but for shares of other processes, are this process's own."""
    if processes() == 1:
        return state

    def own(x):
        return jnp.asarray(np.asarray(x)) if x.is_fully_replicated else x

    return jax.tree.map(own, state)
