// Photos in, answers out. Each photo is a request of its own: the server puts them together, and one that can't be
// used doesn't hold up the others.

import { answer, refuse, summary, waiting } from "./answers.js";
import { camera } from "./camera.js";

const AT_A_TIME = 4;
const TRIES = 5; // of a request that the server was too busy for
const LARGE = 2e6; // bytes: only files above are looked at before they are sent, to see whether they are too large

const status = document.getElementById("status");
const photos = document.getElementById("photos");
const keyForm = document.getElementById("key");
const files = document.getElementById("files");
const drop = document.getElementById("drop");

let key = "";
let limits = { bytes: Infinity, pixels: Infinity };
const health = fetch("health").then((reply) => reply.json()).then((told) => {
  limits = told.limits;
  keyForm.hidden = !told.needs_key;
}).catch(() => say("The server does not answer.", true));

function say(text, bad = false) {
  status.textContent = text;
  status.classList.toggle("bad", bad);
}

const queue = [];
let running = 0;
let tally = { done: 0, faces: 0, bad: 0, last: "" };

function take(list) {
  const chosen = [...list];
  if (chosen.length === 0) return;
  const cards = chosen.map((file) => waiting(file.name, file));
  photos.prepend(...cards);
  chosen.forEach((file, i) => queue.push([file, cards[i]]));
  say(`Working on ${chosen.length === 1 ? chosen[0].name : `${chosen.length} photos`} …`);
  while (running < AT_A_TIME && queue.length) work();
}

async function work() {
  running += 1;
  while (queue.length) {
    const [file, card] = queue.shift();
    try {
      const photo = await ask(file);
      answer(card, photo);
      tally.faces += photo.faces.length;
      tally.last = `${file.name}: ${summary(photo)}`;
    } catch (error) {
      refuse(card, error.message);
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
  const many = `${done} photos: ${faces === 1 ? "1 face" : `${faces} faces`}${bad ? `, ${bad} could not be used` : ""}.`;
  say(done === 1 ? last : many, bad > 0);
  tally = { done: 0, faces: 0, bad: 0, last: "" };
}

async function ask(file) {
  await health;
  const form = new FormData();
  form.append("photos", await fitting(file), file.name);
  for (let attempt = 1; ; attempt += 1) {
    let reply;
    try {
      reply = await fetch("predict", {
        method: "POST",
        body: form,
        headers: key ? { Authorization: `Bearer ${key}` } : {},
      });
    } catch {
      throw new Error("The server does not answer.");
    }
    if (reply.ok) return (await reply.json()).photos[0];
    if (reply.status === 503 && attempt < TRIES) {
      await new Promise((wake) => setTimeout(wake, 1000 * Number(reply.headers.get("Retry-After") ?? 1)));
      continue;
    }
    if (reply.status === 401) {
      keyForm.hidden = false;
      document.getElementById("secret").focus();
      throw new Error("This server asks for a key: give it above, then choose the photo again.");
    }
    const problem = await reply.json().catch(() => ({}));
    const reason = problem.photos?.[0]?.reason ?? problem.detail ?? `The server answered ${reply.status}.`;
    throw new Error(problem.photos?.length ? `This file ${reason}.` : reason);
  }
}

/** The file itself, or, where it is larger than the server takes, a smaller copy. */
async function fitting(file) {
  const most = limits.bytes - 10_000; // the form takes some bytes too
  if (file.size < Math.min(LARGE, most)) return file;
  try {
    const image = await createImageBitmap(file);
    const pixels = image.width * image.height;
    if (pixels <= limits.pixels && file.size < most) return file;
    const scale = Math.min(1, 2048 / Math.max(image.width, image.height), Math.sqrt(limits.pixels / pixels));
    const canvas = new OffscreenCanvas(Math.floor(image.width * scale), Math.floor(image.height * scale));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  } catch {
    return file; // not an image that a browser reads: the server says what is wrong with it
  }
}

files.onchange = () => {
  take(files.files);
  files.value = ""; // else the same file can't be chosen again
};

let over = 0; // enter and leave come for every element that is passed
document.ondragenter = () => drop.classList.toggle("over", (over += 1) > 0);
document.ondragleave = () => drop.classList.toggle("over", (over -= 1) > 0);
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  over = 0;
  drop.classList.remove("over");
  take(event.dataTransfer.files);
};
document.onpaste = (event) => take(event.clipboardData.files);

keyForm.onsubmit = (event) => {
  event.preventDefault();
  key = document.getElementById("secret").value;
  keyForm.hidden = true;
  say("The key is used until this page is closed.");
  files.focus();
};

camera((photo) => take([photo]), (text) => say(text, Boolean(text)));
