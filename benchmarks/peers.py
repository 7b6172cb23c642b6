"""The other sides: code as the packages' documentation shows it. Imports nothing from portrait18.

Where there is a choice, the peer gets the faster common one: photos are resized before their colors
change, and networks are created before the clock starts.
"""

from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory

import numpy as np
import timm
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

Measured = Callable[..., dict]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def crop_loop(paths: list[str], folder: str) -> Measured:
    """Crop photo by photo with all defaults."""
    mtcnn = MTCNN(device=_device())

    def run() -> dict:
        found = 0
        with TemporaryDirectory(dir=folder) as out:
            for i, path in enumerate(paths):
                found += (
                    mtcnn(Image.open(path).convert("RGB"), save_path=f"{out}/{i}.jpg") is not None
                )
        return {"photos": len(paths), "faces": found}

    return run


def crop_batched(
    paths: list[str], folder: str, min_face: float, batch_size: int, size: int
) -> Measured:
    """Crop batches of photos of one size, with the same minimum face size, to files."""
    mtcnn = MTCNN(image_size=size, device=_device())

    def run() -> dict:
        found = 0
        with TemporaryDirectory(dir=folder) as out:
            for batch, names in _batches(paths, batch_size):
                boxes = _detect(mtcnn, batch, min_face)[0]
                for photo, photo_boxes, name in zip(batch, boxes, names, strict=True):
                    found += mtcnn.extract(photo, photo_boxes, f"{out}/{name}.jpg") is not None
        return {"photos": len(paths), "faces": found}

    return run


def detect(paths: list[str], min_face: float, batch_size: int) -> Measured:
    """Detect all faces in photos that are already decoded."""
    mtcnn = MTCNN(keep_all=True, device=_device())
    batches = list(_batches(paths, batch_size))

    def run() -> dict:
        found = {}
        for batch, names in batches:
            found.update(zip(names, _detect(mtcnn, batch, min_face)[0], strict=True))
        return {
            "photos": len(paths),
            "boxes": [[] if b is None else b.tolist() for b in found.values()],
        }

    return run


def _detect(mtcnn: MTCNN, batch: np.ndarray, min_face: float):
    mtcnn.min_face_size = max(20, min_face * min(batch.shape[1:3]))
    return mtcnn.detect(batch, landmarks=True)


def _batches(paths: list[str], batch_size: int) -> Iterator[tuple[np.ndarray, list[int]]]:
    """Yield decoded photos of one size, uint8 (N, H, W, 3), and their indices."""
    by_size: dict[tuple, list[int]] = {}
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            by_size.setdefault(image.size, []).append(i)
    for rows in by_size.values():
        for start in range(0, len(rows), batch_size):
            part = rows[start : start + batch_size]
            yield np.stack([np.asarray(Image.open(paths[i]).convert("RGB")) for i in part]), part


class Photos(Dataset):
    """Photo files and labels, decoded and transformed one by one."""

    def __init__(self, paths: list[str], labels: list[int], transform: Callable):
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int):
        return self.transform(Image.open(self.paths[i]).convert("RGB")), self.labels[i]


def _augmented(size: int, augment: dict) -> transforms.Compose:
    """Return the augmentations of portrait18.training.augmentation with equal strength and rate."""
    scale, color = augment["scale"], augment["color"]
    jitter = transforms.ColorJitter(color, color, color, color / 10)
    steps = [
        transforms.Resize((size, size)),
        transforms.RandomHorizontalFlip(augment["flip"]),
        transforms.RandomAffine(augment["rotate"], (scale / 2, scale / 2), (1 - scale, 1 + scale)),
        transforms.RandomApply([jitter], 0.8 if color else 0),
        transforms.RandomApply([transforms.GaussianBlur(3)], augment["blur"]),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
        transforms.RandomErasing(augment["erase"], (0.04, 0.16)),
    ]
    return transforms.Compose(steps)


def _plain(size: int) -> transforms.Compose:
    return transforms.Compose(
        [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )


def _training_loader(paths: list[str], labels: list[int], model: dict) -> DataLoader:
    data = Photos(paths, labels, _augmented(model["image_size"], model["augment"]))
    batch_size, pin = model["batch_size"], _device().type == "cuda"
    drop_last = len(data) > batch_size
    return DataLoader(
        data,
        batch_size,
        shuffle=True,
        num_workers=model["num_workers"],
        pin_memory=pin,
        drop_last=drop_last,
    )


def train_input(paths: list[str], labels: list[int], model: dict) -> Measured:
    """Prepare the batches of a training without using them."""
    loader = _training_loader(paths, labels, model)

    def run() -> dict:
        return {"photos": sum(len(batch_labels) for _, batch_labels in loader)}

    return run


def train_loop(paths: list[str], labels: list[int], model: dict, classes: int) -> Measured:
    """Train one epoch with a plain loop: float32, contiguous, AdamW, cross-entropy."""
    loader, device = _training_loader(paths, labels, model), _device()
    network = timm.create_model(model["backbone"], num_classes=classes).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    criterion = torch.nn.CrossEntropyLoss()

    def run() -> dict:
        total, seen = 0.0, 0
        for photos, batch_labels in loader:
            photos, batch_labels = photos.to(device), batch_labels.to(device)
            optimizer.zero_grad()
            loss = criterion(network(photos), batch_labels)
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item(), seen + len(batch_labels)
        return {"photos": seen}

    return run


def _networks(models: list[dict]) -> list[tuple[torch.nn.Module, int]]:
    """Return the networks of an ensemble, each with its input size."""
    networks = [
        timm.create_model(model["backbone"], num_classes=model["classes"]) for model in models
    ]
    return [
        (network.to(_device()).eval(), model["size"])
        for network, model in zip(networks, models, strict=True)
    ]


def _probabilities(network: torch.nn.Module, photos: torch.Tensor, flip: bool) -> np.ndarray:
    photos = photos.to(_device())
    views = [photos, photos.flip(3)] if flip else [photos]
    return torch.stack([network(view).softmax(1) for view in views]).mean(0).cpu().numpy()


def predict(
    paths: list[str], models: list[dict], flip: bool, min_face: float, batch_size: int
) -> Measured:
    """Run one model after the other; each detects and crops faces in batches, then predicts."""
    mtcnn, networks = MTCNN(device=_device()), _networks(models)

    def run() -> dict:
        with torch.no_grad():
            for network, size in networks:
                transform = _plain(size)
                for batch, _ in _batches(paths, batch_size):
                    boxes = _detect(mtcnn, batch, min_face)[0]
                    photos = [Image.fromarray(photo) for photo in batch]
                    faces = [
                        p if b is None else p.crop(tuple(b[0]))
                        for p, b in zip(photos, boxes, strict=True)
                    ]
                    _probabilities(network, torch.stack([transform(face) for face in faces]), flip)
        return {"photos": len(paths), "networks": len(models)}

    return run


def predict_files(
    paths: list[str], models: list[dict], flip: bool, batch_size: int, num_workers: int
) -> Measured:
    """Run one model after the other, each decoding the photo files; without face detection."""
    networks = _networks(models)

    def run() -> dict:
        with torch.no_grad():
            for network, size in networks:
                data = Photos(paths, [0] * len(paths), _plain(size))
                for photos, _ in DataLoader(data, batch_size, num_workers=num_workers):
                    _probabilities(network, photos, flip)
        return {"photos": len(paths), "networks": len(models)}

    return run
