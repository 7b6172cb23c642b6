// One photo's card: the picture with its faces boxed, and the predictions next to it.

export const TASKS = {
  mask: ["Mask", { worn: "worn", incorrect: "worn incorrectly", none: "not worn" }],
  gender: ["Gender", { male: "male", female: "female" }],
  age: ["Age group", { young: "under 30", middle: "30 to 59", old: "60 and over" }],
};

function copy(template) {
  return document.getElementById(template).content.firstElementChild.cloneNode(true);
}

/** A face in words: "mask not worn, male, 60 and over". */
export function describe(face) {
  const words = Object.entries(TASKS).map(([name, [, classes]]) => classes[face[name].label]);
  return `mask ${words.join(", ")}`;
}

/** A photo in words, for the line above the picture and for screen readers. */
export function summary(photo) {
  if (photo.faces.length === 0) return "No face was found.";
  if (photo.faces.length > 1) return `${photo.faces.length} faces`;
  const words = describe(photo.faces[0]);
  return words[0].toUpperCase() + words.slice(1);
}

/** A card without its prediction yet. */
export function pendingCard(name, blob) {
  const card = copy("photo");
  const picture = card.querySelector("img");
  card.querySelector("h3").textContent = name;
  picture.src = URL.createObjectURL(blob);
  picture.onload = () => URL.revokeObjectURL(picture.src);
  // The server reads formats that browsers cannot show: the boxes then stand on an empty area.
  picture.onerror = () => {
    picture.parentElement.classList.add("hidden-picture");
    card.querySelector('.downloads [value="picture"]').hidden = true;
  };
  return card;
}

/** Show an error on a card. */
export function showError(card, reason) {
  card.ariaBusy = "false";
  card.classList.add("bad");
  card.querySelector(".summary").textContent = reason;
  card.querySelector(".columns").remove();
  card.querySelector(".downloads").remove();
}

/**
 * Show the prediction on a card.
 * @param {(type: string) => void} onDownload  called with json, csv or picture
 */
export function showPrediction(card, photo, onDownload) {
  card.ariaBusy = "false";
  card.querySelector(".summary").textContent = summary(photo);
  card.querySelector(".warning").textContent = photo.warning && `The file ${photo.warning}.`;
  const name = card.querySelector("h3").textContent;
  const downloads = card.querySelector(".downloads");
  for (const button of downloads.querySelectorAll("button")) {
    button.ariaLabel = `${button.textContent}: download the predictions for ${name}`;
    button.onclick = () => onDownload(button.value);
  }
  downloads.hidden = false;
  const picture = card.querySelector(".picture");
  const image = picture.querySelector("img");
  const count = photo.faces.length === 1 ? "1 face" : `${photo.faces.length} faces`;
  image.alt = `The photo, with ${count}`;
  picture.style.aspectRatio = `${photo.width} / ${photo.height}`;
  photo.faces.forEach((face, i) => {
    const title = photo.faces.length > 1 ? `Face ${i + 1}: ${describe(face)}` : "Confidence";
    const section = faceSection(face, title);
    const box = faceBox(face, photo, i + 1);
    const heading = section.querySelector("h4");
    box.onclick = () => heading.focus();
    heading.onfocus = section.onmouseenter = () => box.classList.add("shown");
    heading.onblur = section.onmouseleave = () => box.classList.remove("shown");
    picture.append(box);
    card.querySelector(".faces").append(section);
  });
}

function faceBox(face, photo, number) {
  const sides = [photo.width, photo.height];
  const [x0, y0, x1, y1] = face.box.map((v, i) => Math.min(1, Math.max(0, v / sides[i % 2])));
  const box = document.createElement("button");
  box.type = "button";
  box.className = "box";
  box.ariaLabel = `Face ${number}: ${describe(face)}; go to its predictions`;
  Object.assign(box.style, {
    left: `${100 * x0}%`,
    top: `${100 * y0}%`,
    width: `${100 * (x1 - x0)}%`,
    height: `${100 * (y1 - y0)}%`,
  });
  if (photo.faces.length > 1) {
    const label = document.createElement("span");
    label.textContent = number;
    box.append(label);
  }
  return box;
}

function faceSection(face, title) {
  const section = copy("face");
  section.querySelector("h4").textContent = title;
  for (const [name, [title, classes]] of Object.entries(TASKS)) {
    const task = copy("task");
    const hasYears = name === "age" && face.years !== null;
    const years = hasYears ? `, about ${Math.round(face.years)} years` : "";
    task.querySelector("h5").textContent = title + years;
    for (const [key, text] of Object.entries(classes)) {
      const bar = copy("bar");
      const probability = face[name].probabilities[key];
      const predicted = key === face[name].label;
      bar.classList.toggle("predicted", predicted);
      bar.querySelector(".screen-reader").hidden = !predicted;
      bar.querySelector(".class").textContent = text;
      bar.querySelector(".probability").textContent = `${Math.round(100 * probability)}%`;
      bar.querySelector(".fill").style.width = `${100 * probability}%`;
      task.querySelector("ul").append(bar);
    }
    section.querySelector(".tasks").append(task);
  }
  return section;
}
