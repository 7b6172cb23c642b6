// One photo's card: the picture with its faces boxed, and the answers beside it.

const QUESTIONS = {
  mask: ["Mask", { worn: "worn", incorrect: "worn incorrectly", none: "not worn" }],
  gender: ["Gender", { male: "male", female: "female" }],
  age: ["Age group", { young: "under 30", middle: "30 to 59", old: "60 and over" }],
};

function copy(template) {
  return document.getElementById(template).content.firstElementChild.cloneNode(true);
}

/** A face in words: "mask not worn, male, 60 and over". */
export function words(face) {
  const said = Object.entries(QUESTIONS).map(([name, [, classes]]) => classes[face[name].label]);
  return `mask ${said.join(", ")}`;
}

/** A photo in words, for the line above the picture and for screen readers. */
export function summary(photo) {
  if (photo.faces.length === 0) return "No face was found.";
  if (photo.faces.length > 1) return `${photo.faces.length} faces`;
  const said = words(photo.faces[0]);
  return said[0].toUpperCase() + said.slice(1);
}

/** A card that waits for its answer. */
export function waiting(name, blob) {
  const card = copy("photo");
  const picture = card.querySelector("img");
  card.querySelector("h2").textContent = name;
  picture.src = URL.createObjectURL(blob);
  picture.onload = () => URL.revokeObjectURL(picture.src);
  // The server reads formats that a browser can't show: the boxes then stand on an empty sheet.
  picture.onerror = () => picture.parentElement.classList.add("unseen");
  return card;
}

/** Put the reason into a card, in the place of an answer. */
export function refuse(card, reason) {
  card.ariaBusy = "false";
  card.classList.add("bad");
  card.querySelector(".said").textContent = reason;
  card.querySelector(".both").remove();
}

/** Put the answer into a card. */
export function answer(card, photo) {
  card.ariaBusy = "false";
  card.querySelector(".said").textContent = summary(photo);
  const picture = card.querySelector(".picture");
  const image = picture.querySelector("img");
  image.alt = `The photo, with ${photo.faces.length === 1 ? "1 face" : `${photo.faces.length} faces`}`;
  picture.style.aspectRatio = `${photo.width} / ${photo.height}`;
  photo.faces.forEach((face, i) => {
    const section = answersOf(face, photo.faces.length > 1 ? `Face ${i + 1}: ${words(face)}` : "");
    const box = boxOf(face, photo, i + 1);
    const heading = section.querySelector("h3");
    box.onclick = () => heading.focus();
    heading.onfocus = section.onmouseenter = () => box.classList.add("shown");
    heading.onblur = section.onmouseleave = () => box.classList.remove("shown");
    picture.append(box);
    card.querySelector(".faces").append(section);
  });
}

function boxOf(face, photo, number) {
  const [x0, y0, x1, y1] = face.box.map((v, i) => Math.min(1, Math.max(0, v / (i % 2 ? photo.height : photo.width))));
  const box = document.createElement("button");
  box.type = "button";
  box.className = "box";
  box.ariaLabel = `Face ${number}: ${words(face)}; go to its answers`;
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

function answersOf(face, title) {
  const section = copy("face");
  const heading = section.querySelector("h3");
  heading.textContent = title || "How sure it is";
  for (const [name, [asked, classes]] of Object.entries(QUESTIONS)) {
    const question = copy("question");
    const years = name === "age" && face.years !== null ? `, about ${Math.round(face.years)} years` : "";
    question.querySelector("h4").textContent = asked + years;
    for (const [key, said] of Object.entries(classes)) {
      const bar = copy("bar");
      const share = face[name].probabilities[key];
      bar.classList.toggle("answer", key === face[name].label);
      bar.querySelector(".heard").hidden = key !== face[name].label;
      bar.querySelector(".class").textContent = said;
      bar.querySelector(".share").textContent = `${Math.round(100 * share)} %`;
      bar.querySelector(".fill").style.width = `${100 * share}%`;
      question.querySelector("ul").append(bar);
    }
    section.querySelector(".questions").append(question);
  }
  return section;
}
