import numpy as np
import pytest
import torch
from facenet_pytorch.models.utils.detect_face import nms_numpy
from torchvision.ops import nms

from portrait18.cropping.boxes import batched_nms
from portrait18.cropping.cascade import drop_nested


@pytest.mark.parametrize("group", [0, 1, 31, 4000])
def test_suppression_does_not_depend_on_the_position_in_the_batch(group):
    other, scores = torch.tensor([[5.0, 5.0, 6000.0, 7000.0]]), torch.tensor([0.9, 0.8, 0.95])
    for overlap in np.linspace(0.69, 0.71, 41):  # of two squares: shared / covered
        shift = 0.3 + 1000 * (1 - overlap) / (1 + overlap)
        boxes = torch.tensor(
            [[0.3, 0.1, 1000.3, 1000.1], [shift, 0.1, shift + 1000, 1000.1]]
        ).float()
        alone = batched_nms(boxes, scores[:2], torch.tensor([0, 0]), 0.7)
        groups = torch.tensor([group, group, group + 1])
        together = batched_nms(torch.cat([boxes, other]), scores, groups, 0.7)
        assert sorted(together.tolist()) == [*alone.tolist(), 2]
        assert abs(overlap - 0.7) < 0.001 or len(alone) == (1 if overlap > 0.7 else 2)


def test_each_group_is_suppressed_separately():
    draw = torch.Generator().manual_seed(0)
    corner, group = (
        torch.rand(400, 2, generator=draw) * 60 - 10,
        torch.randint(7, (400,), generator=draw),
    )
    boxes, scores = torch.cat([corner, corner + 50], 1), torch.rand(400, generator=draw)
    kept = batched_nms(boxes, scores, group, 0.7)
    for g in range(7):
        rows = torch.where(group == g)[0]
        assert kept[group[kept] == g].tolist() == rows[nms(boxes[rows], scores[rows], 0.7)].tolist()


def test_nested_boxes_are_dropped_as_by_facenet_pytorch():
    draw = np.random.default_rng(0)
    for count in (1, 2, 5, 40):
        corners = draw.uniform(0, 60, (count, 2))
        boxes = np.concatenate([corners, corners + draw.uniform(5, 60, (count, 2))], 1)
        boxes, scores = boxes.astype(np.float32), draw.uniform(size=count).astype(np.float32)
        expected = nms_numpy(boxes, scores, 0.7, "Min")
        assert drop_nested(boxes, scores, 0.7).tolist() == expected.tolist()
