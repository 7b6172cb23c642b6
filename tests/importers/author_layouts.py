"""Folders as the authors of UTKFace, All-Age-Faces and FairFace lay them out, with demo faces.

Names in MALFORMED are those that public issues and code about the data sets report.
"""

from pathlib import Path

import cv2
from PIL import Image
from tiny import demo_photo

#: Rendered people by age; their genders and races are those of the demo.
FACES = {
    64: "000018_male_Asian_64",
    70: "000001_female_Asian_70",
    26: "000007_male_Asian_26",
    33: "000011_male_Black_33",
    47: "000004_female_White_47",
    55: "000003_male_White_55",
    21: "000017_female_White_21",
    45: "000021_female_Asian_45",
}
#: Labels are missing, so nobody can read them without looking at the photo.
UTKFACE_MALFORMED = [
    "part1/61_3_20170109150557335.jpg",
    "part1/61_1_20170109142408075.jpg",
    "part2/39_1_20170116174525125.jpg",
    "part2/53__0_20170116184028385.jpg",
]
#: A space, a missing dot, a damaged suffix: the labels are there.
UTKFACE_ODD = {
    "part3/24_0_1_20170116220224657 .jpg": 33,
    "part3/55_0_0_20170116232725357JPG": 55,
    "part3/44_1_4_20170116235150272.pg": 45,
}


def save_face(path: Path, age: int) -> None:
    """Write the rendered face of an age as a small JPEG, whatever the suffix."""
    small = cv2.resize(demo_photo(person=FACES[age]), (192, 256), interpolation=cv2.INTER_AREA)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(small).save(path, "JPEG", quality=90)


def utkface_in_the_wild(root: Path) -> Path:
    """Write part1, part2 and part3, with the files of landmarks next to them."""
    save_face(root / "part1/64_0_2_20170103180341808.jpg", 64)
    save_face(root / "part1/26_0_2_20170104020404870.JPG", 26)
    save_face(root / "part2/70_1_2_20170105164403121.jpg", 70)
    save_face(root / "part2/116_1_2_20170112220255503.jpg", 47)
    for name, age in zip(UTKFACE_MALFORMED, (70, 47, 21, 45), strict=True):
        save_face(root / name, age)
    for name, age in UTKFACE_ODD.items():
        save_face(root / name, age)
    for part in (1, 2, 3):
        (root / f"landmark_list_part{part}.txt").write_text("1_0_0_20161219140530307.jpg -4 71\n")
    return root


def utkface_aligned(root: Path) -> Path:
    """Write UTKFace/*.jpg.chip.jpg."""
    folder = root / "UTKFace"
    for name, age in [
        ("64_0_2_20170103180341808.jpg.chip.jpg", 64),
        ("70_1_2_20170105164403121.jpg.chip.jpg", 70),
        ("26_0_2_20170104020404870.jpg.chip.jpg", 26),
        ("47_1_0_20170110120147003.jpg.chip.jpg", 47),
        ("21_1_0_20170117190401390.jpg.chip.jpg", 21),
        ("24_0_1_20170116220224657 .jpg.chip.jpg", 33),
        ("55_0_0_20170116232725357jpg.chip.jpg", 55),
        ("39_1_20170116174525125.jpg.chip.jpg", 45),
        ("61_1_20170109142408075.jpg.chip.jpg", 45),
        ("61_1_20170109150557335.jpg.chip.jpg", 45),
    ]:
        save_face(folder / name, age)
    return folder


def all_age_faces(root: Path) -> Path:
    """Write the five folders of All-Age-Faces; the tables say 0 for female, 1 for male."""
    people = {"00310A21": 21, "03222A45": 45, "05190A47": 47, "07380A70": 70}
    people |= {"07381A26": 26, "09401A33": 33, "12007A55": 55, "13321A64": 64}
    for name, age in people.items():
        save_face(root / f"original images/{name}.jpg", age)
        with Image.open(root / f"original images/{name}.jpg") as photo:
            (root / "aligned faces").mkdir(exist_ok=True)
            photo.crop((30, 40, 162, 216)).save(root / f"aligned faces/{name}.jpg")
        (root / "key points").mkdir(exist_ok=True)
        (root / f"key points/{name}.txt").write_text("68 points\n")
    (root / "image sets").mkdir()
    lines = [f"{name}.jpg {int(int(name[:5]) > 7380)}" for name in people]
    (root / "image sets/train.txt").write_text("\n".join(lines[::2]) + "\n")
    (root / "image sets/val.txt").write_text("\n".join(lines[1::2]) + "\n")
    return root


def fairface(root: Path, margins=("fairface-img-margin025-trainval",), ages=None) -> Path:
    """Write both label files, and train/ and val/ for each margin.

    Args:
        root: the new folder.
        margins: folders of the images; "" for root itself.
        ages: texts of the ages, in the order of `FACES`.
    """
    ages = ages or ["60-69", "more than 70", "20-29", "30-39", "40-49", "50-59", "20-29", "40-49"]
    rows = []
    for n, (age, person) in enumerate(FACES.items(), start=1):
        file = f"train/{n}.jpg" if n < 7 else f"val/{n - 6}.jpg"
        for margin in margins:
            save_face(root / margin / file, age)
        gender = person.split("_")[1].title()
        rows.append(f"{file},{ages[n - 1]},{gender},Latino_Hispanic,{n % 2 == 0}")
    for name, part in (("train", rows[:6]), ("val", rows[6:])):
        lines = ["file,age,gender,race,service_test", *part]
        (root / f"fairface_label_{name}.csv").write_text("\n".join(lines) + "\n")
    return root
