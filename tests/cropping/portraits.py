"""Faces and photos for tests of detection and framing."""

import cv2

from portrait18.cropping.faces import Face


def face(x0, y0, x1, y1, tilt=0.0, score=1.0):
    return Face(x0, y0, x1, y1, tilt, score)


def turned(photo, degrees):
    height, width = photo.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
