"""The command line of scripts/bench, and the order in which things happen.

Exit codes: 0 measured; 1 something failed, or (--short) a ratio is worse than expected; 2 usage; 3 a run is void.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import flow
import growing
import markdown
import moments
import peers
import plots
import process
import programs
import report
import rounds
import scheduling
import short
import stalled
from cluster import Cluster
from growth import AXES, Axis
from process import Failed
from rig import Rig
from workload import Workload
from workloads import WORKLOADS

SAMPLERS: dict[str, rounds.Sampler] = {
    "flow": flow.sample, "steady": moments.steady, "idle": moments.idle, "start": moments.start, "stalled": stalled.sample,
}
VOID, USAGE = 3, 2


def main(about: str, arguments: list[str]) -> int:
    """Everything; returns the exit code."""
    given = _parse(about, arguments)
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell's background job would ignore it.
    try:
        return _command(given)
    except Failed as failure:
        print(f"scripts/bench: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        process.kill_all()


def _terminated(number: int, frame: object) -> None:
    del frame
    raise SystemExit(128 + number)


def _parse(about: str, arguments: list[str]) -> argparse.Namespace:
    ours, _, command = (arguments, "", []) if "--" not in arguments else _split(arguments)
    parser = argparse.ArgumentParser("scripts/bench", description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="WORKLOAD")
    parser.add_argument("--embedded", action="store_true", help="on the embedded broker instead of a real Kafka")
    parser.add_argument("--short", action="store_true", help="the form for CI: two minutes, instructions against tests/bench/expected.json")
    parser.add_argument("--update", action="store_true", help="with --short: what is found becomes what is expected")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each workload (5; with --short 1)")
    parser.add_argument("--records", type=int, metavar="N", help="records of a full-sized input (2,000,000; with --short 100,000)")
    parser.add_argument("--retries", type=int, metavar="N", default=1, help="times that a void run is repeated (1)")
    parser.add_argument("--seconds", type=float, metavar="S", help="length of steady load and of idling (20), and of a stall (60)")
    parser.add_argument("--handler", choices=("pass", "validate"), default="validate", help="peer: what is done with each record")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting for the processor in every run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all figures there")
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="writes SVG plots there")
    given = parser.parse_args(ours)
    given.command = command
    given.rounds = given.rounds or (1 if given.short else 5)
    given.records = given.records or (100_000 if given.short else 2_000_000)
    if any("=" not in setting for setting in given.set):
        parser.error("--set takes NAME=VALUE")
    return given


def _split(arguments: list[str]) -> tuple[list[str], str, list[str]]:
    at = arguments.index("--")
    return arguments[:at], "--", arguments[at + 1 :]


def _command(given: argparse.Namespace) -> int:
    first = given.words[0] if given.words else ""
    if first == "list":
        return _list()
    if first == "show":
        return _show(given)
    if first == "peer":
        return _peer(given)
    if first == "scheduler" and len(given.words) == 1:
        return _scheduler(given)
    return _short(given) if given.short else _measure(given)


def _list() -> int:
    for workload in WORKLOADS:
        print(f"{workload.name:<18}{workload.asks}")
        for figure in workload.figures:
            sign = "≥" if figure.at_least else "≤"
            goal = f"{sign} {figure.goal:g} {figure.unit}" if figure.goal is not None else "no goal"
            print(f"{'':<18}  {figure.name}: {goal}")
    for axis in AXES:
        where = ", ".join(f"{point.at:g}" for point in axis.points)
        print(f"{axis.name:<18}{axis.asks}: {where}; {axis.how} ≤ {axis.goal:g} {axis.unit}")
    print(f"{'scheduler':<18}the scheduler alone: ≤ 150 ns a task at W = 6, ≤ 1.2 × at W = 64, ≤ 1.3 × at 1 M in flight")
    return 0


def _show(given: argparse.Namespace) -> int:
    if len(given.words) < 2:
        print("usage: scripts/bench show FILE... [--json FILE] [--plots FOLDER]", file=sys.stderr)
        return USAGE
    found = markdown.merged([report.load(Path(name)) for name in given.words[1:]])
    _keep(given, found)
    if given.plots:
        plots.write_all(found, given.plots)
    print(markdown.document(found))
    return 0


def _chosen(words: list[str]) -> tuple[list[Workload], list[Axis], bool]:
    """What these words name; all of it without a word."""
    if not words:
        return list(WORKLOADS), list(AXES), True
    workloads = [one for one in WORKLOADS if one.name in words]
    axes = [one for one in AXES if one.name in words or "growth" in words]
    known = {one.name for one in (*WORKLOADS, *AXES)} | {"growth", "scheduler"}
    unknown = [word for word in words if word not in known]
    if unknown:
        print(f"scripts/bench: there is no workload {', '.join(unknown)}: see scripts/bench list", file=sys.stderr)
        raise SystemExit(USAGE)
    return workloads, axes, "scheduler" in words


@contextmanager
def _rig(given: argparse.Namespace, built: programs.Programs) -> Iterator[Rig]:
    _set_lengths(given)
    with tempfile.TemporaryDirectory(prefix="processor-bench.") as folder:
        try:
            with Cluster(built, Path(folder), given.embedded) as cluster:
                settings = dict(setting.split("=", 1) for setting in given.set)
                yield Rig(built, cluster, Path(folder), given.records, settings)
        finally:
            process.kill_all()


def _set_lengths(given: argparse.Namespace) -> None:
    if given.seconds:
        moments.Seconds.steady = moments.Seconds.idle = stalled.Seconds.stalled = given.seconds
        moments.Seconds.warmup = moments.Seconds.settle = min(5.0, given.seconds)


def _about(given: argparse.Namespace) -> dict[str, object]:
    broker = "embedded broker" if given.embedded else "Apache Kafka, one broker"
    return {"broker": broker, "rounds": given.rounds, "records": given.records, "settings": given.set}


def _measure(given: argparse.Namespace) -> int:
    workloads, axes, with_scheduler = _chosen(given.words)
    built = programs.build()
    found = report.new(_about(given))
    if workloads or axes:
        with _rig(given, built) as rig:
            for workload in workloads:
                _workload(rig, workload, given, found)
            for axis in axes:
                print(axis.name, file=sys.stderr)
                found["growth"].append(growing.measure(rig, axis, given.rounds).json())
                print(report.points(found["growth"][-1]))
                _keep(given, found)
    if with_scheduler:
        _add_scheduler(built, found)
    return _finish(given, found)


def _workload(rig: Rig, workload: Workload, given: argparse.Namespace, found: report.Report) -> None:
    print(workload.name, file=sys.stderr)
    if workload.kind == "stalled" and given.embedded:
        print("  skipped: it needs three real brokers", file=sys.stderr)
        return
    flow.warm_up(rig, workload)
    times = 1 if workload.kind == "stalled" else given.rounds
    result = rounds.measure(rig, workload, SAMPLERS[workload.kind], times, given.retries)
    found["workloads"].append(result.json())
    rig.forget_inputs()
    _keep(given, found)


def _keep(given: argparse.Namespace, found: report.Report) -> None:
    """What is measured so far is in the file, whatever happens next."""
    if given.json:
        report.save(found, given.json)


def _add_scheduler(built: programs.Programs, found: report.Report) -> None:
    print("scheduler", file=sys.stderr)
    found["scheduler"], note = scheduling.run(built, short=False)
    found["scheduler_goals"], found["scheduler_note"] = scheduling.goals(found["scheduler"]), note


def _finish(given: argparse.Namespace, found: report.Report) -> int:
    _keep(given, found)
    if given.plots:
        plots.write_all(found, given.plots)
    print(report.table(found))
    if found.get("scheduler_note"):
        print(found["scheduler_note"])
    void = [one["name"] for one in (*found["workloads"], *found["growth"]) if one["void"]]
    if void:
        print(f"VOID, the reference varied by more than 15 %: {', '.join(void)}")
    return VOID if void else 0


def _scheduler(given: argparse.Namespace) -> int:
    found = report.new(_about(given))
    built = programs.build()
    if given.short:
        found["scheduler"], note = scheduling.run(built, short=True)
        print(f"at six workers {scheduling.against_yardstick(found['scheduler']):.3f} of “{scheduling.YARDSTICK}”", note)
    else:
        _add_scheduler(built, found)
    return _finish(given, found)


def _short(given: argparse.Namespace) -> int:
    chosen, _, _ = _chosen(given.words or list(short.WORKLOADS))
    if unfit := [one.name for one in chosen if one.kind != "flow" or one.reference is None]:
        print(f"scripts/bench: --short cannot count {', '.join(unfit)}", file=sys.stderr)
        return USAGE
    short.check_counter()
    built = programs.build()
    counted = []
    with _rig(given, built) as rig:
        for workload in chosen:
            print(workload.name, file=sys.stderr)
            counted.append(short.measure(rig, workload, given.rounds))
    if given.json:
        given.json.write_text(json.dumps({**_about(given), "counted": [one.json() for one in counted]}, indent=2) + "\n")
    if given.update:
        short.write(counted, {"broker": _about(given)["broker"], "records": given.records})
        return 0
    lines, good, noisy = short.judge(counted)
    print("\n".join(lines))
    return 1 if not good else VOID if noisy else 0


def _peer(given: argparse.Namespace) -> int:
    if len(given.words) != 2:
        print("usage: scripts/bench peer NAME [-- COMMAND...]", file=sys.stderr)
        return USAGE
    name = given.words[1]
    command = given.command or peers.prepared(name)
    built = programs.build()
    with _rig(given, built) as rig:
        found = peers.measure(rig, name, command, given.handler, given.rounds)
    print(peers.table(found))
    if given.json:
        report.save(found, given.json)
    return 0
