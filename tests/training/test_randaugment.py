import numpy as np
import torch
from augmented import absolute_difference, portrait, transform
from PIL import Image
from torchvision.transforms import v2

from portrait18.training import augmentation


def test_randaugment_is_torchvisions_and_leaves_the_global_generator_alone():
    step = augmentation.RandAugment(2, 9)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    ours = step.apply(portrait(), seed=5)
    assert (torch.rand(3) == expected).all()
    torch.manual_seed(5)
    theirs = v2.RandAugment(2, 9, interpolation=v2.InterpolationMode.BILINEAR, fill=[127] * 3)
    assert (ours == np.array(theirs(Image.fromarray(portrait())))).all()


def test_randaugment_changes_more_with_more_operations_and_higher_magnitude():
    def change(**strengths):
        step = transform(128, **strengths)
        return np.mean(
            [
                absolute_difference(augmentation.apply(step, portrait(), s), portrait()).mean()
                for s in range(40)
            ]
        )

    weak = change(randaugment=1, randaugment_magnitude=3)
    assert weak < change(randaugment=3, randaugment_magnitude=3)
    assert weak < change(randaugment=1, randaugment_magnitude=25)


def test_randaugment_adds_no_step_when_off():
    """A step that is off would still draw, and change the draws of the steps after it."""
    names = [type(step).__name__ for step in transform(64).transforms]
    assert names == ["AffineResize", "MatrixColorJitter", "OneOf", "CoarseDropout"]
    assert "RandAugment" in [type(s).__name__ for s in transform(64, randaugment=1).transforms]
