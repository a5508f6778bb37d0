"""PyTorch networks of the program's layers. `files/torch/*.toml` describe the same for the program."""

import torch
from torch import nn


class Lab(nn.Module):
    """The lab's model in small; returns logits."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3)
        self.conv2 = nn.Conv2d(4, 6, 2)
        self.fc1 = nn.Linear(6 * 3 * 2, 7)
        self.fc2 = nn.Linear(7, 4)

    def forward(self, x):
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), 2)
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2, stride=1)
        x = torch.flatten(x, 1)
        return self.fc2(nn.functional.relu(self.fc1(x)))


class Norm(nn.Module):
    """Batch normalization, symmetric padding, a depthwise convolution; returns logits."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(3, stride=2, padding=1),
            nn.Conv2d(6, 12, 3, stride=2, padding=1, groups=6),
            nn.BatchNorm2d(12, eps=1e-2),
            nn.SiLU(),
            nn.Dropout2d(0.2),
            nn.Conv2d(12, 8, 2),
            nn.GELU(),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(0.3), nn.Linear(8, 6), nn.ELU(), nn.Linear(6, 5))

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))


class Strided(nn.Module):
    """Strides with padding, a view whose size is computed, batch normalization without pixels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(4, 5, 3, padding="same", dilation=2)
        self.dropout = nn.Dropout(0.5)
        self.fc1 = nn.Linear(5 * 2 * 2, 6, bias=False)
        self.bn2 = nn.BatchNorm1d(6)
        self.fc2 = nn.Linear(6, 3)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        x = torch.tanh(self.conv2(x))
        x = x.view(x.size(0), -1)
        x = torch.relu(self.bn2(self.fc1(self.dropout(x))))
        return torch.softmax(self.fc2(x), dim=1)


class Upsampling(nn.Module):
    """A transposed convolution, which the program lacks."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 2, 3, stride=2)
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        return self.fc(nn.functional.adaptive_avg_pool2d(self.up(x), 1).flatten(1))


class Residual(nn.Module):
    """Additions and concatenations; a padded pool over what is concatenated."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.shortcut = nn.Conv2d(2, 4, 1)
        self.branch = nn.Conv2d(4, 3, 1)
        self.fc1 = nn.Linear(7, 7)
        self.fc2 = nn.Linear(14, 3)

    def forward(self, x):
        skip = self.shortcut(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.conv2(x) + skip + x)
        x = torch.cat([x, torch.relu(self.branch(x))], 1)
        x = nn.functional.max_pool2d(x, 3, 2, padding=1)
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        x = torch.cat([x, nn.functional.silu(self.fc1(x)) + x], 1)
        return self.fc2(x)


class Gated(nn.Module):
    """A product of branches, which no layer computes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.fc = nn.Linear(2, 3)

    def forward(self, x):
        x = torch.relu(x * self.conv(x))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Ceil(nn.Sequential):
    """Max pooling past the border, as `same` does it."""

    def __init__(self):
        pool = nn.MaxPool2d(4, stride=3, ceil_mode=True)
        end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2), nn.Softmax(dim=1)]
        super().__init__(nn.Conv2d(2, 3, 3, padding=1), pool, *end)


class Logarithm(nn.Module):
    """Means along one axis after the other; returns logarithms, as PyTorch's example for MNIST."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, padding=1)
        self.fc = nn.Linear(3, 4)

    def forward(self, x):
        x = torch.relu(self.conv(x)).mean(-1).mean(-1)
        return nn.functional.log_softmax(self.fc(x), dim=1)


class Rows(nn.Sequential):
    """A network of vectors, the rows of images of 6x6; returns logits."""

    def __init__(self):
        super().__init__(nn.Linear(36, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def refused():
    """Networks, by the name of what the program lacks, for an input [n, 2, 6, 6]."""
    start = nn.Conv2d(2, 3, 3, padding=1)
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)]
    middle = {
        "slope": nn.LeakyReLU(),
        "relu6": nn.ReLU6(),
        "tanh_gelu": nn.GELU(approximate="tanh"),
        "instance_norm": nn.InstanceNorm2d(3),
    }
    nets = {name: nn.Sequential(start, layer, *end) for name, layer in middle.items()}
    return {name: net.eval() for name, net in nets.items()}
