"""The lab's code cells, as a reader types them for TensorFlow. Only the lines with imports change."""

CELLS = [
    """
import numpy as np
import pandas as pd
import tensorflow as tf
import matplotlib.pyplot as plt
from tensorflow.keras.models import Sequential
from tensorflow.keras import layers
from tensorflow.keras.utils import to_categorical
from tensorflow.keras.datasets import mnist
""",
    """
(train_images, train_labels), (test_images, test_labels) = mnist.load_data()
""",
    """
train_images = train_images.reshape((60000, 28, 28, 1))
train_images = train_images.astype('float32') / 255
test_images = test_images.reshape((10000, 28, 28, 1))
test_images = test_images.astype('float32') / 255
train_labels = to_categorical(train_labels)
test_labels = to_categorical(test_labels)
""",
    """
plt.imshow(train_images[5,:,:,0], cmap='gray')
""",
    """
model = Sequential()
model.add(layers.Conv2D(32, (3, 3), activation='relu', input_shape=(28, 28, 1)))
model.add(layers.MaxPooling2D((2, 2)))
model.add(layers.Conv2D(64, (3, 3), activation='relu'))
model.add(layers.MaxPooling2D((2, 2)))
model.add(layers.Conv2D(64, (3, 3), activation='relu'))
""",
    """
model.summary()
""",
    """
model.add(layers.Flatten())
model.add(layers.Dense(64, activation='relu'))
model.add(layers.Dense(10, activation='softmax'))
""",
    """
model.summary()
""",
    """
print(train_labels.shape)
print(train_images.shape)
""",
    """
model.compile(optimizer='rmsprop', loss='categorical_crossentropy')
""",
    """
model.compile(optimizer='adam',
              loss='categorical_crossentropy',
              metrics=['accuracy'])
""",
    """
history = model.fit(train_images, train_labels, epochs=5, batch_size=64)
""",
    """
test_loss, test_acc = model.evaluate(test_images, test_labels)
print('Test loss: {:.2f}'.format(test_loss))
print('Test accuracy: {:.2f}'.format(test_acc))
""",
]

#: What section 7 of the lab explains: the arguments of layers, batches made on the fly, early
#: stopping.
REFERENCE = [
    """
import numpy as np
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.callbacks import EarlyStopping
from tensorflow.keras.models import Sequential
from tensorflow.keras.utils import Sequence
""",
    """
shapes = []
for activation in ['sigmoid', 'tanh', 'relu', 'softmax', layers.Activation('relu')]:
    for padding, strides in [('valid', (1, 1)), ('same', (2, 2)), ('valid', 3)]:
        model = Sequential()
        model.add(layers.Conv2D(4, (3, 3), strides=strides, padding=padding, activation=activation,
                                input_shape=(224, 224, 3)))
        model.add(layers.MaxPooling2D(pool_size=2, strides=(2, 1), padding=padding))
        model.add(layers.Flatten())
        shapes.append((model.output_shape, model.count_params()))
print(shapes)
""",
    """
class Digits(Sequence):
    def __init__(self, images, labels, batch_size):
        super().__init__()
        self.images, self.labels, self.batch_size = images, labels, batch_size
        self.ended = 0

    def __len__(self):
        return int(np.ceil(len(self.images) / self.batch_size))

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return self.images[rows], self.labels[rows]

    def on_epoch_end(self):
        self.ended += 1
""",
    """
model = Sequential()
model.add(layers.Conv2D(8, (3, 3), activation='relu', input_shape=(28, 28, 1)))
model.add(layers.MaxPooling2D((2, 2)))
model.add(layers.Flatten())
model.add(layers.Dense(10, activation='softmax'))
model.compile(optimizer='adam', loss='categorical_crossentropy', metrics=['accuracy'])
stopping = EarlyStopping(monitor='val_loss', min_delta=1e-3, patience=5, verbose=1, mode='auto',
                         restore_best_weights=True)
""",
]
