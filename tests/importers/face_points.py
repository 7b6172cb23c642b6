"""Five points of a face: eyes, nose, corners of the mouth."""

import numpy as np

#: Points that MTCNN finds in a face turned a little to its left, and in a frontal one.
TURNED = np.array([[150.0, 200], [222, 196], [194, 246], [160, 284], [220, 281]])

LEVEL = np.array([[155.0, 200], [225, 200], [190, 241], [161, 280], [219, 280]])
