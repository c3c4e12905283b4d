"""How fast is the PyTorch engine on a GPU, and does it compute there what it does on the CPU?

    python benchmarks/gpu.py --data-dir DIR [--short] [--device gpu] [--candidates N]

DIR has the files of CIFAR-10. Without a GPU, `--device cpu --short` goes through every part, and
its figures mean nothing. The parts:

- equality: the same step of the same network on the device and on the CPU, in float32;
- steps: bare steps one by one and as a CUDA graph, and whole epochs, in each precision;
- script: a plain PyTorch script (DataLoader, transforms of single images, `.item()` in each step);
- workers: processes side by side on one device, on a small network;
- search: candidates of nin_cifar, trained for 8 epochs of all images, and ranked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import networks
from harness import RESULTS, SHORT_RESULTS, conditions

from nas_incep import datasets
from nas_incep.architecture import Architecture, Block
from nas_incep.datasets import Dataset
from nas_incep.engines.torch.networks import build_network
from nas_incep.engines.torch.packed import PackedNetwork
from nas_incep.engines.torch.runtime import device_of, resolve_device, torch
from nas_incep.engines.torch.training import Training
from nas_incep.recipe import OPTIMIZERS, Recipe

_MEDIUM = ((1, 32, 32, 64, 16, 16, 16), (1, 64, 64, 96, 16, 32, 32), (1, 96, 96, 128, 16, 48, 32))
NETWORKS = {
    "small8": networks.NETWORKS["small8"],
    "small8 BN": networks.NETWORKS["small8 BN"],
    "medium BN": Architecture(tuple(Block(*b) for b in _MEDIUM), batch_norm=True),
    "notebook": networks.NETWORKS["notebook"],
}


def sync(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def training_of(
    name: str, dataset: Dataset, device: str, precision: str, **recipe: Any
) -> Training:
    settings = Recipe(epochs=1000, optimizer="sgd", learning_rate=0.02)
    return Training(PackedNetwork(NETWORKS[name]), dataset, settings, 0, device, precision)


def per_second(work: Callable[[], int], device: str, seconds: float) -> float:
    """Images per second of work that returns how many it did."""
    images, started = 0, time.perf_counter()
    while time.perf_counter() < started + seconds:
        images += work()
        sync(device)
    return images / (time.perf_counter() - started)


def steps_of(training: Training, step: Callable[[], None], steps: int) -> Callable[[], int]:
    def work() -> int:
        training.restart()
        for _ in range(steps):
            step()
        return steps * training.batch_size

    return work


def equality(device: str) -> Iterator[dict[str, Any]]:
    dataset = networks.synthetic(1280)
    for optimizer in OPTIMIZERS:
        for batch_norm in (False, True):
            shown = []
            for place in ("cpu", device):
                recipe = Recipe(
                    epochs=1,
                    images_per_epoch=1280,
                    optimizer=optimizer,
                    learning_rate=0.01,
                    schedule="constant",
                    batch_size=128,
                )
                architecture = NETWORKS["small8 BN" if batch_norm else "small8"]
                training = Training(PackedNetwork(architecture), dataset, recipe, 0, place)
                point = training.run_epoch()
                assert point is not None
                state = training.network.arrays()
                shown.append((point, {name: value.cpu() for name, value in state.items()}))
            (one, ones), (other, others) = shown
            differences = {k: float((ones[k] - others[k]).abs().max()) for k in ones}
            worst = max(differences, key=lambda name: differences[name])
            yield {
                "part": "equality",
                "optimizer": optimizer,
                "batch_norm": batch_norm,
                "steps": 10,
                "loss": [one.loss, other.loss],
                "val_loss": [one.val_loss, other.val_loss],
                "largest_difference": differences[worst],
                "of": worst,
            }


def steps(dataset: Dataset, device: str, seconds: float) -> Iterator[dict[str, Any]]:
    precisions = ("float32",) if device == "cpu" else ("float32", "bfloat16", "float16")
    for name in NETWORKS:
        for precision in precisions:
            training = training_of(name, dataset, device, precision)
            training.rewind(0)
            row: dict[str, Any] = {
                "part": "steps",
                "network": name,
                "macs": NETWORKS[name].macs,
                "precision": precision,
            }
            count = min(100, training.steps_per_epoch)
            for _ in range(min(40, count)):
                training.steps.run()  # decides between the two ways
            row["chosen"] = training.steps.chosen
            for way in training.steps.ways():
                work = steps_of(training, training.steps.ways()[way], count)
                work()
                row[way] = per_second(work, device, seconds)
            training.train_epoch()
            row["loop"] = per_second(lambda t=training: t.train_epoch()[2], device, seconds)
            started = time.perf_counter()
            training.run_epoch()
            row["epoch_seconds"] = time.perf_counter() - started
            yield row
            del training
            torch.cuda.empty_cache()


def script(data_dir: Path | None, dataset: Dataset, device: str, seconds: float) -> Iterator[Any]:
    """What a user writes first: 4 loading processes, images one by one, the loss read each step."""
    from torch.utils.data import DataLoader

    place = device_of(device)
    for name in ("small8", "notebook"):
        network = build_network(NETWORKS[name]).to(place)
        optimizer = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
        loader = DataLoader(
            _Transformed(dataset),
            128,
            shuffle=True,
            num_workers=4,
            pin_memory=device != "cpu",
            persistent_workers=True,
        )
        images, total, started = 0, 0.0, 0.0
        for step, (batch, labels) in enumerate(loader):
            if step == 5:
                images, started = 0, time.perf_counter()
            loss = torch.nn.functional.cross_entropy(network(batch.to(place)), labels.to(place))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
            images += len(labels)
            if step > 5 and time.perf_counter() > started + 2 * seconds:
                break
        speed = images / (time.perf_counter() - started)
        yield {"part": "script", "network": name, "images_per_second": speed}


class _Transformed:
    """Single images with a random crop and flip, as torchvision's transforms make them."""

    def __init__(self, dataset: Dataset) -> None:
        self._images = torch.from_numpy(dataset.train.images)
        self._labels = dataset.train.labels.tolist()
        self._mean = torch.tensor(dataset.mean).view(-1, 1, 1)
        self._std = torch.tensor(dataset.std).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = torch.nn.functional.pad(self._images[index], (4, 4, 4, 4))
        top, left = torch.randint(0, 9, (2,)).tolist()
        image = image[:, top : top + 32, left : left + 32]
        if torch.rand(1) < 0.5:
            image = image.flip(-1)
        return (image.float().div(255) - self._mean) / self._std, self._labels[index]


def workers(args: argparse.Namespace, seconds: float) -> Iterator[dict[str, Any]]:
    for count in (1, 2) if args.short else (1, 2, 4, 6, 8):
        for precision in ("float32",) if args.device == "cpu" else ("float32", "bfloat16"):
            command = [sys.executable, __file__, "--serve", precision, "--device", args.device]
            command += ["--data-dir", str(args.data_dir)] if args.data_dir else []
            children = [
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                for _ in range(count)
            ]
            for child in children:
                child.stdout.readline()  # type: ignore[union-attr]
            for child in children:
                child.stdin.write(f"{seconds}\n")  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]
            speeds = [float(child.communicate()[0]) for child in children]
            yield {
                "part": "workers",
                "network": "small8",
                "precision": precision,
                "workers": count,
                "images_per_second": sum(speeds),
            }


def serve(args: argparse.Namespace) -> None:
    dataset = datasets.load("cifar10", args.data_dir) if args.data_dir else networks.synthetic(5000)
    training = training_of("small8", dataset, resolve_device(args.device), args.serve)
    training.train_epoch()
    print("ready", flush=True)
    seconds = float(sys.stdin.readline())
    print(per_second(lambda: training.train_epoch()[2], training.device.type, seconds))


def search(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        command = [sys.executable, "-m", "nas_incep", "search", args.space, "--run", str(run)]
        command += ["--engine", "torch", "--device", args.device, "--trials", str(args.candidates)]
        command += ["--epochs", str(args.epochs), "--workers", str(args.workers)]
        command += ["--precision", "float32" if args.device == "cpu" else "bfloat16"]
        command += ["--data-dir", str(args.data_dir)] if args.data_dir else ["--dataset", "digits"]
        command += ["--sampler", "random"]
        for baseline in args.baseline or ["none"]:
            command += ["--baseline", baseline]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True)
        taken = time.perf_counter() - started
        print(done.stdout[-6000:] + done.stderr[-1500:], file=sys.stderr)
        board = [sys.executable, "-m", "nas_incep", "leaderboard", str(run), "--format", "json"]
        ranked = json.loads(subprocess.run(board, capture_output=True, text=True).stdout)
        yield {
            "part": "search",
            "space": args.space,
            "candidates": args.candidates,
            "epochs": args.epochs,
            "baselines": args.baseline,
            "workers": args.workers,
            "seconds": taken,
            "status": done.returncode,
            "best": ranked[:3] if isinstance(ranked, list) else ranked,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--device", default="gpu")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--parts", default="equality,steps,script,workers,search")
    parser.add_argument("--space", default="nin_cifar")
    parser.add_argument("--candidates", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--workers", default="auto")
    parser.add_argument("--baseline", action="append")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args)
        return
    device = resolve_device(args.device)
    dataset = datasets.load("cifar10", args.data_dir) if args.data_dir else networks.synthetic(5000)
    seconds = 0.2 if args.short else 1.0
    card = torch.cuda.get_device_name() if device != "cpu" else "none"
    output = args.output or (SHORT_RESULTS if args.short else RESULTS) / "gpu.jsonl"
    output.parent.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
        "equality": lambda: equality(device),
        "steps": lambda: steps(dataset, device, seconds),
        "script": lambda: script(args.data_dir, dataset, device, seconds),
        "workers": lambda: workers(args, 3 * seconds),
        "search": lambda: search(args),
    }
    with output.open("w", encoding="utf-8") as file:

        def write(row: dict[str, Any]) -> None:
            line = json.dumps(row)
            print(line, flush=True)
            file.write(line + "\n")
            file.flush()

        write({**conditions(), "card": card, "cuda": torch.version.cuda})
        for part in args.parts.split(","):
            for row in parts[part]():
                write(row)


if __name__ == "__main__":
    main()
