"""What the user sees on the terminal: a progress bar on stderr (none where that is no terminal), results on stdout, or JSON lines for other programs."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .doubt import cautions

Event = Mapping[str, Any]


class Console:
    """Shows a training or a segmentation; with `as_json` only JSON lines go to stdout."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.bar: tqdm | None = None

    def show(self, event: Event) -> None:
        """One event of a training."""
        if self.as_json:
            self._print(**event)
            return
        handler = getattr(self, f"_{event['event']}", None)
        if handler:
            handler(event)

    def _loading(self, event: Event) -> None:
        self._say(f"reading {counted(event['subjects'], 'subject')} onto the model's grid ...")

    def _unlocked(self, event: Event) -> None:
        self._say(event["message"])

    def _started(self, event: Event) -> None:
        resumed = f", resumed at step {event['step']}" if event["step"] else ""
        self._say(f"training {event['strategy']} on {event['device']}: {event['parameters']:,} weights, {event['steps']} steps{resumed}")
        if event["pretrained"] and not event["step"]:
            self._say(f"weights: {begun_with(event['pretrained'])}")
        self._say(f"validation: {event['note']}")
        self.bar = tqdm(total=event["steps"], initial=event["step"], unit="step", file=sys.stderr, dynamic_ncols=True, disable=None)

    def _step(self, event: Event) -> None:
        if self.bar is not None:
            losses = {name: f"{event[name]:.3f}" for name in event if name.endswith("loss")}
            self.bar.set_postfix(losses, refresh=False)
            self.bar.update(event["step"] - self.bar.n)

    def _validated(self, event: Event) -> None:
        self._say(f"step {event['step']}: mean Dice {event['dice']['mean']:.3f} (best {event['best']:.3f})")
        if "advice" in event:
            self._say(event["advice"])

    def _finished(self, event: Event) -> None:
        self._close()
        score = f"; best mean Dice {event['best']:.3f}, {event['note']}" if "best" in event else ""
        self._say(f"finished after {event['seconds']:.0f} s: {event['model']}{score}")

    def _stopped(self, event: Event) -> None:
        self._close()
        self._say(f"stopped at step {event['step']}; the same command resumes it; {event['model']} can be used")

    def _failed(self, event: Event) -> None:
        self._close()
        self._say("; ".join(filter(None, [f"failed: {event['error']}: {event['message']}", event["advice"]])))

    def _print(self, event: str, **content: Any) -> None:
        print(json.dumps({"event": event, **content}), flush=True)  # in ASCII, which every reader and every encoding of the console has

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def _say(self, text: str) -> None:
        tqdm.write(text, file=sys.stderr)

    def report(self, table: str, record: dict[str, Any]) -> None:
        """The check of the data."""
        if self.as_json:
            self._print("checked", **record)
        else:
            self._close()
            self._say(table)

    def checking(self, done: int, count: int) -> None:
        if self.as_json:
            self._print("checking", done=done, count=count)
            return
        if self.bar is None:
            self.bar = tqdm(total=count, desc="checking the data", unit="subject", file=sys.stderr, dynamic_ncols=True, leave=False, disable=None)
        self.bar.update(done - self.bar.n)

    @contextmanager
    def segmenting(self, image: str) -> Iterator[Callable[[int, int], None]]:
        """A bar for one image, which tells (done, all)."""
        if self.as_json:
            self._print("segmenting", image=image, done=0, count=1)
            yield lambda done, count: self._print("segmenting", image=image, done=done, count=count)
            return
        with tqdm(desc=f"segmenting {Path(image).name}", file=sys.stderr, disable=None, leave=False, dynamic_ncols=True) as bar:

            def tell(done: int, count: int) -> None:
                bar.total = count
                bar.update(done - bar.n)

            yield tell

    def segmented(self, image: str, output: Path, notes: list[str], volumes_mm3: Mapping[str, float], quality: Mapping[str, float]) -> None:
        if self.as_json:
            volumes = {name: round(volume, 3) for name, volume in volumes_mm3.items()}
            self._print("segmented", image=image, output=str(output), notes=notes, cautions=cautions(quality), volumes_mm3=volumes, quality=quality)
            return
        for sentence in (*notes, *cautions(quality)):
            self._say(f"{Path(image).name}: {sentence}")
        print(f"{image} -> {output}")

    def refused(self, image: str, reason: str) -> None:
        """An image that cannot be segmented, while others go on."""
        if self.as_json:
            self._print("refused", image=image, message=reason)
        else:
            self._say(f"not segmented: {reason}")


def begun_with(pretrained: Mapping[str, Any]) -> str:
    """What a network took over of another's weights, in one line."""
    loaded, file, kept, unused = (pretrained[key] for key in ("loaded", "file", "kept", "unused"))
    return f"{loaded} of {loaded + len(kept)} tensors from {file}; kept as initialised: {_few(kept)}; not used of the file: {_few(unused)}"


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more if names else "none"


def scores(record: Mapping[str, Any]) -> str:
    """The result of an evaluation as a table, one line per structure."""
    columns = {"dice": 3, "hd95_mm": 2, "volume_difference_mm3": 0}  # digits
    rows = [["structure", "Dice", "HD95 mm", "volume difference mm3"]]
    for name in record["dice"]:
        figures = {column: record[column].get(name) for column in columns}
        if name == "mean":  # of volumes signs would cancel, and large structures hide small ones
            figures["volume_difference_mm3"] = None
        rows.append([name, *(_figure(value, columns[column]) for column, value in figures.items())])
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in zip(row[1:], widths[1:]))]) for row in rows]
    return "\n".join([*lines, *([f"means of {len(record['cases'])} pairs; --json gives each"] if len(record["cases"]) > 1 else [])])


def counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
