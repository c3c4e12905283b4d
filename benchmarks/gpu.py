"""How fast is the PyTorch engine on a GPU, and does it compute there what it does on the CPU?

    python benchmarks/gpu.py [--data-dir DIR] [--short] [--device gpu] [--parts LIST] [--plan]

DIR has the files of CIFAR-10; without it, random images of that shape take their place, and only
accuracies mean nothing. Without a GPU, `--device cpu --short` goes through every part in some
three minutes on two cores, and no figure means anything, so none is compared with a target.
`--plan` says how long each part is estimated to take, and ends. The parts, each of which runs by
itself with `--parts`:

- equality: the same steps of the same network on the device and on the CPU, in float32;
- tests: the tests of the suite that need a GPU;
- steps: bare steps one by one and as a CUDA graph, and whole epochs, in each precision;
- workers: processes side by side on one device, on a network of 10 million multiply-accumulates;
- candidates: networks of nin_cifar by the engine, and by a plain PyTorch script;
- search: candidates of nin_cifar next to Inception3, 8 epochs of all images each, ranked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networks
from gpu_candidates import candidates, search
from gpu_speed import NETWORKS, Setup, serve, steps, workers
from harness import RESULTS, SHORT_RESULTS, conditions, verdict

from nas_incep import datasets
from nas_incep.engines.torch.packed import PackedNetwork
from nas_incep.engines.torch.runtime import resolve_device, torch
from nas_incep.engines.torch.training import Training
from nas_incep.recipe import OPTIMIZERS, Recipe

# Seconds on an NVIDIA H200 with 16 cores, estimated from the speeds in docs/engines.md; the search
# is stopped after that time.
ESTIMATES = {
    "equality": 30,
    "tests": 30,
    "steps": 90,
    "workers": 60,
    "candidates": 80,
    "search": 210,
}


def equality(setup: Setup) -> Iterator[dict[str, Any]]:
    """Some steps from the same values on both devices: losses, and the parameters' difference."""
    images = 256 if setup.short else 1280
    dataset, apart = networks.synthetic(images), []
    for optimizer in OPTIMIZERS:
        for batch_norm in (False, True):
            recipe = Recipe(
                epochs=1,
                images_per_epoch=images,
                optimizer=optimizer,
                learning_rate=0.01,
                schedule="constant",
                batch_size=128,
            )
            name = "small8 BN" if batch_norm else "small8"
            shown = []
            for place in ("cpu", setup.device):
                training = Training(PackedNetwork(NETWORKS[name]), dataset, recipe, 0, place)
                point = training.run_epoch()
                assert point is not None
                state = training.network.arrays()
                shown.append((point, {key: value.cpu() for key, value in state.items()}))
            (one, ones), (other, others) = shown
            differences = {k: float((ones[k] - others[k]).abs().max()) for k in ones}
            worst = max(differences, key=lambda name: differences[name])
            if optimizer in ("sgd", "nag"):  # the others divide by small numbers
                apart.append(abs(one.loss - other.loss) / one.loss)
            yield {
                "part": "equality",
                "optimizer": optimizer,
                "batch_norm": batch_norm,
                "steps": images // 128,
                "loss": [one.loss, other.loss],
                "val_loss": [one.val_loss, other.val_loss],
                "largest_difference": differences[worst],
                "of": worst,
            }
    question = "SGD and NAG: largest relative difference of losses to the CPU's, in 1e-5"
    yield verdict(question, [1e5 * max(apart)], below=setup.target(5), part="equality")


def tests(setup: Setup) -> Iterator[dict[str, Any]]:
    """The suite's tests with the mark `gpu`: batches, captured steps, checkpoints, full memory."""
    folder = Path(__file__).parent.parent
    chosen = [str(folder / "tests" / "engines" / "torch" / "test_on_a_gpu.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", *chosen]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    said = (done.stdout.strip() or done.stderr.strip()).splitlines()
    print(done.stdout[-3000:], file=sys.stderr)
    yield {"part": "tests", "status": done.returncode, "said": said[-1] if said else ""}


PARTS: dict[str, Callable[[Setup], Iterator[dict[str, Any]]]] = {
    "equality": equality,
    "tests": tests,
    "steps": steps,
    "workers": workers,
    "candidates": candidates,
    "search": search,
}


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--short", action="store_true", help="little work, into results/short")
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--threads", type=int, help="of the CPU, for this process")
    parser.add_argument("--candidates", type=int, help="of the search; default: 64, short 2")
    parser.add_argument("--workers", help="of the search; default: auto, short 1")
    parser.add_argument(
        "--search-seconds",
        type=float,
        default=float(ESTIMATES["search"]),
        help="when the search is stopped, and the time for all is extrapolated; "
        "alone, 900 leave it time to end",
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser


def plan(parts: list[str]) -> Iterator[dict[str, Any]]:
    yield from ({"part": part, "estimated_seconds": ESTIMATES[part]} for part in parts)
    yield {"part": "all", "estimated_seconds": sum(ESTIMATES[part] for part in parts)}


def setup_of(args: argparse.Namespace) -> Setup:
    device = resolve_device(args.device)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    if args.data_dir:
        dataset = datasets.load("cifar10", args.data_dir)
    else:
        dataset = networks.synthetic(512 if args.short else 45_000)
    return Setup(
        device=device,
        dataset=dataset,
        data_dir=args.data_dir,
        short=args.short,
        candidates=args.candidates or (2 if args.short else 64),
        workers=args.workers or ("1" if args.short else "auto"),
        search_seconds=args.search_seconds,
    )


def main() -> None:
    args = options().parse_args()
    parts = args.parts.split(",")
    if unknown := set(parts) - set(PARTS):
        raise SystemExit(f"--parts: {', '.join(sorted(unknown))}: one of {', '.join(PARTS)}")
    if args.plan:
        for row in plan(parts):
            print(json.dumps(row))
        return
    setup = setup_of(args)
    if args.serve:
        serve(setup, args.serve)
        return
    output = args.output or (SHORT_RESULTS if args.short else RESULTS) / "gpu.jsonl"
    output.parent.mkdir(parents=True, exist_ok=True)
    card = torch.cuda.get_device_name() if setup.on_gpu else "none"
    with output.open("w", encoding="utf-8") as file:

        def write(row: dict[str, Any]) -> None:
            line = json.dumps(row)
            print(line, flush=True)
            file.write(line + "\n")
            file.flush()

        more = {"card": card, "cuda": torch.version.cuda, "data": setup.dataset.fingerprint}
        write({**conditions(args.threads), **more})
        for part in parts:
            for row in PARTS[part](setup):
                write(row)


if __name__ == "__main__":
    main()
