"""The other sides: what people write with these packages, as their documentation shows it. Nothing of portrait18.

Where there is a choice, the peer gets the quicker usual one: photos are made small before their colors
are changed, networks are made before the clock runs.
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
    """The usual loop: one photo after the other, everything by default."""
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
    """Batches of photos of one size, the smallest face set by hand; stored as files."""
    mtcnn = MTCNN(image_size=size, device=_device())

    def run() -> dict:
        found = 0
        with TemporaryDirectory(dir=folder) as out:
            for batch, names in _batches(paths, batch_size):
                boxes = _detect(mtcnn, batch, min_face)[0]
                for photo, of_photo, name in zip(batch, boxes, names, strict=True):
                    found += mtcnn.extract(photo, of_photo, f"{out}/{name}.jpg") is not None
        return {"photos": len(paths), "faces": found}

    return run


def detect(paths: list[str], min_face: float, batch_size: int) -> Measured:
    """Boxes of all faces; the photos lie decoded in memory."""
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
    """Decoded photos of one size, uint8 (N, H, W, 3), and which they are; in the order in which the sizes come."""
    by_size: dict[tuple, list[int]] = {}
    for i, path in enumerate(paths):
        with Image.open(path) as image:
            by_size.setdefault(image.size, []).append(i)
    for rows in by_size.values():
        for at in range(0, len(rows), batch_size):
            part = rows[at : at + batch_size]
            yield np.stack([np.asarray(Image.open(paths[i]).convert("RGB")) for i in part]), part


class Photos(Dataset):
    """Photo files with their labels, decoded and transformed one by one."""

    def __init__(self, paths: list[str], labels: list[int], transform: Callable):
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int):
        return self.transform(Image.open(self.paths[i]).convert("RGB")), self.labels[i]


def _augmented(size: int, augment: dict) -> transforms.Compose:
    """The same kinds of change as portrait18.training.augmentation, as strong and as often."""
    zoom, color = augment["scale"], augment["color"]
    jitter = transforms.ColorJitter(color, color, color, color / 10)
    steps = [
        transforms.Resize((size, size)),
        transforms.RandomHorizontalFlip(augment["flip"]),
        transforms.RandomAffine(augment["rotate"], (zoom / 2, zoom / 2), (1 - zoom, 1 + zoom)),
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
    """The batches of a training, looked at by nobody."""
    loader = _training_loader(paths, labels, model)

    def run() -> dict:
        return {"photos": sum(len(told) for _, told in loader)}

    return run


def train_loop(paths: list[str], labels: list[int], model: dict, classes: int) -> Measured:
    """An epoch of the plain loop: float32, contiguous, AdamW, cross-entropy."""
    loader, device = _training_loader(paths, labels, model), _device()
    network = timm.create_model(model["backbone"], num_classes=classes).to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    criterion = torch.nn.CrossEntropyLoss()

    def run() -> dict:
        total, seen = 0.0, 0
        for photos, told in loader:
            photos, told = photos.to(device), told.to(device)
            optimizer.zero_grad()
            loss = criterion(network(photos), told)
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item(), seen + len(told)
        return {"photos": seen}

    return run


def _networks(models: list[dict]) -> list[tuple[torch.nn.Module, int]]:
    """Networks of an ensemble, each with the size it sees."""
    made = [timm.create_model(model["backbone"], num_classes=model["classes"]) for model in models]
    return [
        (network.to(_device()).eval(), model["size"])
        for network, model in zip(made, models, strict=True)
    ]


def _answer(network: torch.nn.Module, photos: torch.Tensor, flip: bool) -> np.ndarray:
    photos = photos.to(_device())
    views = [photos, photos.flip(3)] if flip else [photos]
    return torch.stack([network(view).softmax(1) for view in views]).mean(0).cpu().numpy()


def predict(
    paths: list[str], models: list[dict], flip: bool, min_face: float, batch_size: int
) -> Measured:
    """One model after the other; each finds the faces of the photo files in batches, cuts them and answers."""
    mtcnn, networks = MTCNN(device=_device()), _networks(models)

    def run() -> dict:
        with torch.no_grad():
            for network, sees in networks:
                transform = _plain(sees)
                for batch, _ in _batches(paths, batch_size):
                    boxes = _detect(mtcnn, batch, min_face)[0]
                    photos = [Image.fromarray(photo) for photo in batch]
                    cut = [
                        p if b is None else p.crop(tuple(b[0]))
                        for p, b in zip(photos, boxes, strict=True)
                    ]
                    _answer(network, torch.stack([transform(face) for face in cut]), flip)
        return {"photos": len(paths), "networks": len(models)}

    return run


def predict_files(
    paths: list[str], models: list[dict], flip: bool, batch_size: int, workers: int
) -> Measured:
    """One model after the other, each decoding the photo files; no faces are looked for."""
    networks = _networks(models)

    def run() -> dict:
        with torch.no_grad():
            for network, sees in networks:
                data = Photos(paths, [0] * len(paths), _plain(sees))
                for photos, _ in DataLoader(data, batch_size, num_workers=workers):
                    _answer(network, photos, flip)
        return {"photos": len(paths), "networks": len(models)}

    return run
