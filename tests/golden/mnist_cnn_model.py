"""mnist-cnn, a network trained with cnn-gpu 0.1.0.

Input: float32 [n, 1, 28, 28], pixels (0 to 255) divided by 255.
Output: float32 [n, 10], probabilities.
Weights: weights.safetensors, next to this file.
To train it with nn.CrossEntropyLoss, leave out the softmax.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

CLASSES = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv2d = nn.Conv2d(1, 32, 3)
        self.conv2d_1 = nn.Conv2d(32, 64, 3)
        self.conv2d_2 = nn.Conv2d(64, 64, 3)
        self.dense = nn.Linear(576, 64)
        self.dense_1 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv2d(x))  # [n, 32, 26, 26]
        x = F.max_pool2d(x, 2)  # max_pooling2d [n, 32, 13, 13]
        x = F.relu(self.conv2d_1(x))  # [n, 64, 11, 11]
        x = F.max_pool2d(x, 2)  # max_pooling2d_1 [n, 64, 5, 5]
        x = F.relu(self.conv2d_2(x))  # [n, 64, 3, 3]
        x = x.flatten(1)  # flatten [n, 576]
        x = F.relu(self.dense(x))  # [n, 64]
        x = F.softmax(self.dense_1(x), dim=1)  # [n, 10]
        return x


def load(path=Path(__file__).with_name("weights.safetensors")):
    """The network with these weights, in inference mode."""
    net = Net()
    net.load_state_dict(load_file(path), strict=True)
    return net.eval()


if __name__ == "__main__":
    net = load()
    x = torch.rand(1, 1, 28, 28)  # instead of a picture
    with torch.inference_mode():
        print(CLASSES[net(x).argmax()])
