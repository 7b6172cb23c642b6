// Sends each photo as a request of its own: the server batches them, and one that cannot be used
// does not hold up the others.

import { pendingCard, showError, showPrediction, summary } from "./predictions.js";
import { camera } from "./camera.js";

const CONCURRENCY = 4;
const TRIES = 5; // per request while the server is busy
const LARGE = 2e6; // bytes: only larger files are decoded before sending, to check their pixels

const status = document.getElementById("status");
const photos = document.getElementById("photos");
const keyForm = document.getElementById("key");
const files = document.getElementById("files");
const drop = document.getElementById("drop");

let key = "";
let limits = { bytes: Infinity, pixels: Infinity };
const health = fetch("health").then((response) => response.json()).then((state) => {
  limits = state.limits;
  keyForm.hidden = !state.needs_key;
  document.getElementById("model").textContent = state.model.description;
}).catch(() => setStatus("The server does not respond.", true));

function setStatus(text, bad = false) {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

const queue = [];
let running = 0;
let tally = { done: 0, faces: 0, bad: 0, last: "" };

function addPhotos(list) {
  const chosen = [...list];
  if (chosen.length === 0) return;
  const cards = chosen.map((file) => pendingCard(file.name, file));
  photos.prepend(...cards);
  chosen.forEach((file, i) => queue.push([file, cards[i]]));
  setStatus(`Working on ${chosen.length === 1 ? chosen[0].name : `${chosen.length} photos`} …`);
  while (running < CONCURRENCY && queue.length) runWorker();
}

async function runWorker() {
  running += 1;
  while (queue.length) {
    const [file, card] = queue.shift();
    try {
      const photo = await predict(file);
      showPrediction(card, photo);
      tally.faces += photo.faces.length;
      tally.last = `${file.name}: ${summary(photo)}`;
    } catch (error) {
      showError(card, error.message);
      tally.bad += 1;
      tally.last = `${file.name}: ${error.message}`;
    }
    tally.done += 1;
  }
  running -= 1;
  if (running === 0) report();
}

function report() {
  const { done, faces, bad, last } = tally;
  const count = faces === 1 ? "1 face" : `${faces} faces`;
  const failed = bad ? `, ${bad} could not be used` : "";
  setStatus(done === 1 ? last : `${done} photos: ${count}${failed}.`, bad > 0);
  tally = { done: 0, faces: 0, bad: 0, last: "" };
}

async function predict(file) {
  await health;
  const form = new FormData();
  form.append("photos", await shrunk(file), file.name);
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
    if (response.ok) return (await response.json()).photos[0];
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

/** Return the file, or a smaller copy if it exceeds the server's limits. */
async function shrunk(file) {
  const most = limits.bytes - 10_000; // the form itself takes some bytes
  if (file.size < Math.min(LARGE, most)) return file;
  try {
    const image = await createImageBitmap(file);
    const pixels = image.width * image.height;
    if (pixels <= limits.pixels && file.size < most) return file;
    const side = Math.max(image.width, image.height);
    const scale = Math.min(1, 2048 / side, Math.sqrt(limits.pixels / pixels));
    const [width, height] = [image.width, image.height].map((v) => Math.floor(v * scale));
    const canvas = new OffscreenCanvas(width, height);
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  } catch {
    return file; // not readable in the browser: the server reports what is wrong
  }
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
