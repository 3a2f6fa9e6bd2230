#!/usr/bin/env python3
"""Finds faces, and the eyes in them, with OpenCV's cascades.

usage: detect.py WIDTH HEIGHT

Standard input: frames of WIDTH x HEIGHT grey pixels, a byte each, row by row. Standard output: a line for each frame, its
objects with `;` between them, each of these words:

    LABEL LABEL-ID CONFIDENCE LEFT TOP WIDTH HEIGHT ID PARENT

ID is the same as long as an object is seen; PARENT is the ID of the face that an eye is in, -1 for a face. Any other program
that does this (with a neural network, say) can take its place.
"""

import os
import signal
import sys

import cv2
import numpy

FACE, EYE = ("face", 0), ("eye", 1)
# The cascades find nothing smaller than 24 pixels, and are slow on large pictures.
WORKING_HEIGHT = 288
SMALLEST_FACE = 48
# What the cascade for faces is less sure of is most often none.
SURE_FACE = 0.7
# What overlaps by this much with an object of this many frames ago, at most, is that object.
SAME_OVERLAP, FORGET_AFTER = 0.3, 15


def cascade(name):
    """OpenCV's wheel has its cascades with it, distributions put them elsewhere."""
    folders = ["/usr/share/opencv4/haarcascades/", "/usr/share/opencv/haarcascades/"]
    if hasattr(cv2, "data"):
        folders.insert(0, cv2.data.haarcascades)
    for folder in folders:
        if os.path.exists(folder + name):
            return cv2.CascadeClassifier(folder + name)
    sys.exit(f"there is no {name} in {', '.join(folders)}: install opencv-data")


def find(classifier, picture, smallest, neighbours):
    """Boxes with their confidence, the surest first."""
    boxes, _, weights = classifier.detectMultiScale3(
        picture,
        scaleFactor=1.05,
        minNeighbors=neighbours,
        minSize=(smallest, smallest),
        outputRejectLevels=True,
    )
    # A weight is the last stage's sum of votes, somewhere between -2 and 12; 0 is undecided.
    weights = numpy.maximum(numpy.ravel(weights), 0)
    found = [(tuple(map(int, box)), float(w / (1 + w))) for box, w in zip(boxes, weights)]
    return sorted(found, key=lambda each: -each[1])


def overlap(a, b):
    """The part of two boxes' area that they have in common."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(width, 0) * max(height, 0)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


class Tracker:
    """Gives an object the number it had before."""

    def __init__(self):
        self.known = {}  # by number: label, box, the frame it was last seen in
        self.next = 0

    def number(self, frame, label, box):
        known = self.known.items()
        self.known = {n: each for n, each in known if each[2] >= frame - FORGET_AFTER}
        free = [(overlap(box, each[1]), n) for n, each in self.known.items() if each[0] == label and each[2] != frame]
        best, number = max(free, default=(0, None))
        if best < SAME_OVERLAP:
            number, self.next = self.next, self.next + 1
        self.known[number] = (label, box, frame)
        return number


def main():
    # Ctrl-C is for the pipeline: this program ends with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    width, height = map(int, sys.argv[1:3])
    faces, eyes = cascade("haarcascade_frontalface_default.xml"), cascade("haarcascade_eye.xml")
    scale = WORKING_HEIGHT / height
    tracker = Tracker()
    frame = 0
    while pixels := sys.stdin.buffer.read(width * height):
        picture = numpy.frombuffer(pixels, numpy.uint8).reshape(height, width)
        picture = cv2.equalizeHist(cv2.resize(picture, None, fx=scale, fy=scale))
        objects = []

        def add(kind, confidence, box, parent=-1):
            box = [round(value / scale) for value in box]
            number = tracker.number(frame, kind[0], box)
            objects.append(" ".join(map(str, [*kind, confidence, *box, number, parent])))
            return number

        for (x, y, w, h), confidence in find(faces, picture, SMALLEST_FACE, 5):
            if confidence < SURE_FACE:
                break
            face = add(FACE, confidence, (x, y, w, h))
            # Eyes are in the upper half; there are two of them.
            for box, confidence in find(eyes, picture[y : y + h // 2, x : x + w], w // 6, 2)[:2]:
                add(EYE, confidence, (x + box[0], y + box[1], box[2], box[3]), face)
        print(";".join(objects), flush=True)
        frame += 1


main()
