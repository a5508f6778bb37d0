"""Trains convolutional networks on any GPU with Vulkan, Metal or DirectX 12, and on the CPU.

``cnn_gpu.keras`` has the names, arguments and errors of Keras 3 for everything that the library
has::

    from cnn_gpu.keras import layers
    from cnn_gpu.keras.models import Sequential

The device is chosen at first use and named on standard error: a hardware GPU if there is one, the
CPU otherwise. ``set_device("vulkan")`` or the environment variables ``CNN_GPU_BACKEND`` and
``CNN_GPU_ADAPTER`` choose another; one that was asked for and is not there is an error.
"""

from __future__ import annotations

from . import keras
from ._native import __version__, device, devices, set_device

__all__ = ["__version__", "device", "devices", "keras", "set_device"]
