#!/usr/bin/env python3
"""Trains mnist-cnn with PyTorch, eagerly, and prints one JSON line.

    pip install torch numpy
    python3 benches/peers/pytorch_cnn.py --data-dir DIR --variant cpu-channels-last

The fastest eager loop we know of: the whole data set as one tensor on the device, batches by
index, the fused Adam, and no value read back inside an epoch. The variants differ in the memory
format, in the device, and in whether a step is replayed as a CUDA graph.
"""

import time

STARTED = time.perf_counter()

import job
from networks import NETWORKS

CPU = ["cpu-channels-last", "cpu"]
CUDA = ["cuda-channels-last", "cuda", "cuda-graphs"]


def main():
    args = job.arguments(__doc__, CPU + CUDA)
    try:
        import numpy
        import torch
    except ImportError as error:
        job.fail(f"{error}; install it with: pip install torch numpy")
    if args.list:
        return job.print_list(torch.__version__, CPU + CUDA * torch.cuda.is_available())
    if args.variant in CUDA and not torch.cuda.is_available():
        job.fail(f"--variant {args.variant} needs a CUDA device, but PyTorch finds none")
    train, test = job.load(args)
    trainer = Trainer(torch, args)
    train_images = len(train.images)
    train, test = trainer.upload(train), trainer.upload(test)
    trainer.epoch(*(tensor[: args.batch_size] for tensor in train))
    warm_up = time.perf_counter() - STARTED
    epochs = [timed(lambda: trainer.epoch(*train))[0] for _ in range(args.epochs)]
    trainer.accuracy(*test)  # The first evaluation selects kernels; the second is measured.
    seconds, accuracy = timed(lambda: trainer.accuracy(*test))
    job.print_result(
        args,
        {
            "program": f"pytorch {args.variant}",
            "version": torch.__version__,
            "device": trainer.describe(),
            "train_images": train_images,
            "warm_up_seconds": warm_up,
            "epoch_seconds": epochs,
            "evaluate_images_per_second": len(test[0]) / seconds,
            "test_accuracy": accuracy,
        },
    )


def timed(work):
    """The seconds and the result of `work`, including its work on the device."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def network(torch, name):
    """A network without its softmax, which is part of the loss; weights initialised as in Keras."""
    nn, described = torch.nn, NETWORKS[name]
    modules, channels = [], described.input_shape[-1]
    for layer, given in described.layers:
        if layer in ("Conv2D", "DepthwiseConv2D"):
            depthwise = layer == "DepthwiseConv2D"
            filters = channels if depthwise else given["filters"]
            size, strides = given["kernel_size"], given.get("strides", 1)
            padding = size // 2 if given["padding"] == "same" else 0
            groups = channels if depthwise else 1
            modules.append(nn.Conv2d(channels, filters, size, strides, padding, groups=groups))
            channels = filters
        elif layer == "Dense":
            modules.append(nn.LazyLinear(given["units"]))
        elif layer == "BatchNormalization":
            modules.append(nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01))
        elif layer == "MaxPooling2D":
            modules.append(nn.MaxPool2d(given["pool_size"]))
        elif layer == "GlobalAveragePooling2D":
            modules += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        elif layer == "Dropout":
            modules.append(nn.Dropout(given["rate"]))
        elif layer == "Flatten":
            modules.append(nn.Flatten())
        if given.get("activation") == "relu":
            modules.append(nn.ReLU(inplace=True))
    model = nn.Sequential(*modules)
    height, width, depth = described.input_shape
    model(torch.zeros(2, depth, height, width))  # Tells the lazy layers their inputs.
    for module in model:
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    assert name != "mnist-cnn" or sum(p.numel() for p in model.parameters()) == 93_322
    return model


class Trainer:
    """A model, its optimizer, and a training step, which may be a CUDA graph."""

    def __init__(self, torch, args):
        self.torch = torch
        self.batch = args.batch_size
        self.device = torch.device("cuda" if args.variant in CUDA else "cpu")
        self.graphs = args.variant == "cuda-graphs"
        self.graph = None
        last = args.variant.endswith("channels-last")
        self.format = torch.channels_last if last else torch.contiguous_format
        torch.backends.cudnn.benchmark = True
        self.model = network(torch, args.network).to(self.device, memory_format=self.format)
        self.loss = torch.nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(
            self.model.parameters(),
            lr=job.LEARNING_RATE,
            eps=job.EPSILON,
            fused=True,
            capturable=self.graphs,
        )

    def describe(self):
        """A readable name of the device."""
        if self.device.type == "cuda":
            return self.torch.cuda.get_device_name(self.device)
        return f"cpu, {self.torch.get_num_threads()} threads"

    def upload(self, split):
        """Images as [n, c, h, w] and labels, on the device."""
        images = self.torch.from_numpy(split.images).permute(0, 3, 1, 2).to(self.device)
        labels = self.torch.tensor(split.labels, device=self.device)
        return images.contiguous(memory_format=self.format), labels

    def epoch(self, images, labels):
        """Trains on every image once, in a new order, and waits for the device."""
        order = self.torch.randperm(len(images), device=self.device)
        for rows in order.split(self.batch):
            if self.graphs and len(rows) == self.batch:
                self.replay(images[rows], labels[rows])
            else:
                self.step(images[rows], labels[rows])
        self.wait()

    def step(self, images, labels):
        """One step of Adam, eagerly."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model(images), labels).backward()
        self.optimizer.step()

    def replay(self, images, labels):
        """One step of Adam as a graph, captured in the first call."""
        if self.graph is None:
            self.capture(images, labels)
        self.images.copy_(images)
        self.labels.copy_(labels)
        self.graph.replay()

    def capture(self, images, labels):
        """Runs three steps on a side stream, as PyTorch's manual requires, and captures the next."""
        cuda = self.torch.cuda
        self.images, self.labels = images.clone(), labels.clone()
        side = cuda.Stream()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(3):
                self.step(self.images, self.labels)
        cuda.current_stream().wait_stream(side)
        self.graph = cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        with cuda.graph(self.graph):
            self.step(self.images, self.labels)

    def accuracy(self, images, labels):
        """The share of correctly classified images."""
        self.model.eval()
        with self.torch.inference_mode():
            batches = zip(images.split(job.EVALUATE_BATCH), labels.split(job.EVALUATE_BATCH))
            correct = sum((self.model(x).argmax(1) == y).sum() for x, y in batches)
        self.model.train()
        return correct.item() / len(images)

    def wait(self):
        """Waits for the device."""
        if self.device.type == "cuda":
            self.torch.cuda.synchronize()


if __name__ == "__main__":
    main()
