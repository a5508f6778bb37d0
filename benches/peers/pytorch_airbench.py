#!/usr/bin/env python3
"""Trains the network of examples/cifar10_airbench.rs with PyTorch and prints one JSON line.

    pip install torch numpy
    python3 benches/peers/pytorch_airbench.py --data-dir FOLDER --epochs 10 --seed 0

FOLDER has CIFAR-10's binary version. Network, augmentation, optimizer, schedule and batches are the example's: it is
not airbench itself, which also averages weights, alternates flips and trains the first biases. Runs on the CPU,
channels-last, with all threads; the accuracy is that of the last weights, with and without averaging over six
variants of each image.
"""

import argparse
import json
import pathlib
import time

import job
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
DEVIATION = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)
BATCH = 1024
RATE, MOMENTUM, DECAY, SMOOTHING = 1.5, 0.85, 0.0089, 0.2
SHIFT = 2


def read(paths):
    """Images [n, 3, 32, 32], normalized, and labels."""
    records = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 3073) for path in paths])
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    labels = torch.from_numpy(records[:, 0].astype(np.int64))
    return (images - MEAN) / DEVIATION, labels


def network():
    layers = [nn.Conv2d(3, 24, 2), nn.GELU()]
    layers[0].requires_grad_(False)
    channels = 24
    for filters in [64, 256, 256]:
        for place in range(2):
            conv = nn.Conv2d(channels, filters, 3, padding="same", bias=False)
            nn.init.dirac_(conv.weight[:channels])
            layers.append(conv)
            if place == 0:
                layers.append(nn.MaxPool2d(2))
            norm = nn.BatchNorm2d(filters, eps=1e-12, momentum=0.4)
            norm.weight.requires_grad_(False)
            layers += [norm, nn.GELU()]
            channels = filters
    layers += [nn.MaxPool2d(3), nn.Flatten(), nn.Linear(channels, 10, bias=False)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def whiten(conv, images):
    """Principal components of 2x2 pixels, divided by the standard deviation, and their negatives."""
    patches = images[:1000].unfold(2, 2, 10).unfold(3, 2, 10).permute(0, 2, 3, 1, 4, 5)
    patches = patches.reshape(-1, 12).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    kernels = (vectors / torch.sqrt(values + 5e-4)).T.reshape(12, 3, 2, 2).float()
    conv.weight.data = torch.cat([kernels, -kernels]).to(memory_format=torch.channels_last)
    conv.bias.data.zero_()


def augmented(images, generator):
    """Each image mirrored or not, and shifted by up to two pixels, with its border repeated."""
    n = len(images)
    mirrored = torch.rand(n, generator=generator) < 0.5
    images = torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)
    padded = F.pad(images, [SHIFT] * 4, mode="reflect")
    shifts = torch.randint(0, 2 * SHIFT + 1, (2, n), generator=generator)
    out = torch.empty_like(images)
    for y in range(2 * SHIFT + 1):
        for x in range(2 * SHIFT + 1):
            these = (shifts[0] == y) & (shifts[1] == x)
            out[these] = padded[these][:, :, y : y + 32, x : x + 32]
    return out


def factor(step, steps):
    """Of the learning rate: a triangle."""
    peak = int(0.23 * steps)
    if step < peak:
        return 0.2 + 0.8 * step / peak
    return 1 + (0.07 - 1) * (step - peak) / (steps - peak)


def variants(images):
    """Of an image, with their weights, as airbench."""
    padded = F.pad(images, [1] * 4, mode="reflect")
    for place, weight in [(1, 0.5), (0, 0.25), (2, 0.25)]:
        shifted = padded[:, :, place : place + 32, place : place + 32]
        yield shifted, weight / 2
        yield shifted.flip(3), weight / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--epochs", type=job.positive, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    images, labels = read([args.data_dir / f"data_batch_{i}.bin" for i in range(1, 6)])
    test_images, test_labels = read([args.data_dir / "test_batch.bin"])
    net = network()
    whiten(net[0], images)
    trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
    is_bias = lambda name: name.endswith("bias")
    groups = [
        {"params": [p for name, p in trained.items() if not is_bias(name)], "factor": 1},
        {"params": [p for name, p in trained.items() if is_bias(name)], "factor": 64},
    ]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM, nesterov=True)
    steps = args.epochs * -(-len(images) // BATCH)
    step = 0
    started = time.process_time(), time.perf_counter()
    for _ in range(args.epochs):
        net.train()
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            rate = RATE * factor(step, steps)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["factor"]
            batch = augmented(images[rows], generator).to(memory_format=torch.channels_last)
            scores = net(batch) / 9
            loss = F.cross_entropy(scores, labels[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            with torch.no_grad():
                for parameter in trained.values():
                    parameter.mul_(1 - rate * DECAY)
            optimizer.step()
            step += 1
    seconds = time.process_time() - started[0], time.perf_counter() - started[1]
    net.eval()
    plain = averaged = 0
    with torch.inference_mode():
        for rows in torch.arange(len(test_images)).split(1000):
            batch, wanted = test_images[rows], test_labels[rows]
            plain += (net(batch).argmax(1) == wanted).sum().item()
            scores = sum(w * net(v).div(9).softmax(1) for v, w in variants(batch))
            averaged += (scores.argmax(1) == wanted).sum().item()
    line = {
        "parameters": sum(p.numel() for p in trained.values()),
        "epochs": args.epochs,
        "seed": args.seed,
        "fit_seconds": round(seconds[1], 1),
        "fit_processor_seconds": round(seconds[0], 1),
        "test_accuracy": plain / len(test_images),
        "averaged_accuracy": averaged / len(test_images),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
