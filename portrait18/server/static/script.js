// Sends each photo as a request of its own: the server batches them, and one that cannot be used
// does not hold up the others.

import { camera } from "./camera.js";
import { savePicture, saveText } from "./downloads.js";
import { showModel } from "./model.js";
import { pendingCard, showError, showPrediction, summary } from "./predictions.js";

const CONCURRENCY = 4;
const TRIES = 5; // per request while the server is busy
const LARGE = 2e6; // bytes: only larger files are decoded before sending, to check their pixels

const status = document.getElementById("status");
const photos = document.getElementById("photos");
const progress = document.getElementById("progress");
const downloadAll = document.getElementById("all");
const keyForm = document.getElementById("key");
const files = document.getElementById("files");
const drop = document.getElementById("drop");

let key = "";
let limits = { bytes: Infinity, pixels: Infinity };
const health = fetch("health").then((response) => response.json()).then((state) => {
  limits = state.limits;
  keyForm.hidden = !state.needs_key;
}).catch(() => setStatus("The server does not respond.", true));
let model = null; // the facts of /model
fetch("model").then((response) => response.json()).then((card) => showModel(model = card))
  .catch(() => setStatus("The server does not respond.", true));

function setStatus(text, bad = false) {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

const queue = [];
const results = []; // {name, photo} of each chosen photo, null until it is predicted
let running = 0;
const nothing = { all: 0, done: 0, faces: 0, bad: 0, last: "" };
let tally = { ...nothing };

function addPhotos(list) {
  const chosen = [...list];
  if (chosen.length === 0) return;
  const cards = chosen.map((file) => pendingCard(file.name, file));
  photos.prepend(...cards);
  document.getElementById("predictions").hidden = false;
  chosen.forEach((file, i) => queue.push([file, cards[i], results.push(null) - 1]));
  tally.all += chosen.length;
  showProgress();
  setStatus(`Working on ${chosen.length === 1 ? chosen[0].name : `${chosen.length} photos`} …`);
  while (running < CONCURRENCY && queue.length) runWorker();
}

async function runWorker() {
  running += 1;
  while (queue.length) {
    const [file, card, slot] = queue.shift();
    try {
      const photo = await predict(file);
      results[slot] = { name: file.name, photo };
      show(results[slot], card);
      tally.faces += photo.faces.length;
      tally.last = `${file.name}: ${summary(photo)}`;
    } catch (error) {
      showError(card, error.message);
      tally.bad += 1;
      tally.last = `${file.name}: ${error.message}`;
    }
    tally.done += 1;
    showProgress();
  }
  running -= 1;
  if (running === 0) report();
}

function report() {
  const { done, faces, bad, last } = tally;
  const count = faces === 1 ? "1 face" : `${faces} faces`;
  const failed = bad ? `, ${bad} could not be used` : "";
  setStatus(done === 1 ? last : `${done} photos: ${count}${failed}.`, bad > 0);
  tally = { ...nothing };
}

/** Show how many of several photos are done; screen readers hear the status line instead. */
function showProgress() {
  const { all, done } = tally;
  progress.hidden = all < 2 || done === all;
  progress.querySelector("label").textContent = `${done} of ${all} photos`;
  Object.assign(progress.querySelector("progress"), { max: all, value: done });
}

const predicted = () => results.filter(Boolean);

function show(result, card) {
  const { name, photo } = result;
  showPrediction(card, photo, (type) => {
    if (type === "picture") savePicture(name, card.querySelector("img"), photo);
    else saveText(type, name, [result], model);
  });
  downloadAll.hidden = predicted().length < 2;
}

async function predict(file) {
  await health;
  const form = new FormData();
  const [blob, scale] = await shrunk(file);
  form.append("photos", blob, file.name);
  for (let attempt = 1; ; attempt += 1) {
    let response;
    try {
      response = await fetch("predict", {
        method: "POST",
        body: form,
        headers: key ? { Authorization: `Bearer ${key}` } : {},
      });
    } catch {
      throw new Error("The server does not respond.");
    }
    if (response.ok) return enlarged((await response.json()).photos[0], scale);
    if (response.status === 503 && attempt < TRIES) {
      const seconds = Number(response.headers.get("Retry-After") ?? 1);
      await new Promise((wake) => setTimeout(wake, 1000 * seconds));
      continue;
    }
    if (response.status === 401) {
      keyForm.hidden = false;
      document.getElementById("secret").focus();
      throw new Error("This server requires an API key: enter it above, then retry.");
    }
    const problem = await response.json().catch(() => ({}));
    if (problem.photos?.length) throw new Error(`This file ${problem.photos[0].reason}.`);
    throw new Error(problem.detail ?? `The server responded with status ${response.status}.`);
  }
}

/** Return the prediction in pixels of the photo; `scale` is that of the copy that was sent. */
function enlarged(photo, scale) {
  if (scale === 1) return photo;
  const [width, height] = [photo.width, photo.height].map((v) => Math.round(v / scale));
  const faces = photo.faces.map((face) => ({ ...face, box: face.box.map((v) => v / scale) }));
  return { ...photo, width, height, faces };
}

/** Return the file, or a smaller copy if it exceeds the server's limits; and the copy's scale. */
async function shrunk(file) {
  const most = limits.bytes - 10_000; // the form itself takes some bytes
  if (file.size < Math.min(LARGE, most)) return [file, 1];
  try {
    const image = await createImageBitmap(file);
    const pixels = image.width * image.height;
    if (pixels <= limits.pixels && file.size < most) return [file, 1];
    const side = Math.max(image.width, image.height);
    const scale = Math.min(1, 2048 / side, Math.sqrt(limits.pixels / pixels));
    const [width, height] = [image.width, image.height].map((v) => Math.floor(v * scale));
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return [await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 }), scale];
  } catch {
    return [file, 1]; // not readable in the browser: the server reports what is wrong
  }
}

for (const button of downloadAll.querySelectorAll("button")) {
  button.ariaLabel = `${button.textContent}: download all predictions`;
  button.onclick = () => saveText(button.value, "predictions", predicted(), model);
}

files.onchange = () => {
  addPhotos(files.files);
  files.value = ""; // else choosing the same file again has no effect
};

let over = 0; // enter and leave fire for every element on the way
document.ondragenter = () => drop.classList.toggle("over", (over += 1) > 0);
document.ondragleave = () => drop.classList.toggle("over", (over -= 1) > 0);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  over = 0;
  drop.classList.remove("over");
  addPhotos(event.dataTransfer.files);
};
document.onpaste = (event) => addPhotos(event.clipboardData.files);

keyForm.onsubmit = (event) => {
  event.preventDefault();
  key = document.getElementById("secret").value;
  keyForm.hidden = true;
  setStatus("The key is kept until this page is closed.");
  files.focus();
};

camera((photo) => addPhotos([photo]), (text) => setStatus(text, Boolean(text)));
