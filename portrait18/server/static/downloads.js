// Predictions as files: JSON, CSV with the columns of `portrait18 predict --csv`, and the picture.

import { TASKS, describe } from "./predictions.js";

const MOST_PIXELS = 16e6; // of an annotated picture: phones refuse larger canvases
const COLORS = ["#0072b2", "#d55e00", "#00795a", "#a3457f", "#5d3a9b", "#7a5c00"];
const BOX = ["x0", "y0", "x1", "y1"];

/** Offer a file under a name. */
function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // not before the browser has read it
}

const stem = (name) => name.replace(/\.[^.]*$/, "") || name;

/** Photos as one JSON document, with the facts of /model that say what the predictions are worth. */
export function toJson(results, card) {
  const { description, limits, inputs } = card ?? {};
  const photos = results.map(({ name, photo }) => ({ photo: name, ...photo }));
  return JSON.stringify({ model: { description, limits, inputs }, photos }, null, 2);
}

const cell = (value) => {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** A row per face; a photo without a face keeps a row. */
export function toCsv(results) {
  const names = Object.keys(TASKS);
  const columns = Object.entries(TASKS).flatMap(([task, [, classes]]) =>
    Object.keys(classes).map((name) => [task, name]));
  const header = ["photo", "face", "found", "score", ...BOX, ...names, "class", "name"];
  header.push(...columns.map((column) => column.join("_")), "years");
  const rows = results.flatMap(({ name, photo }) => {
    if (photo.faces.length === 0) return [[name, 0, ...Array(header.length - 2).fill("")]];
    return photo.faces.map((face, i) => [
      ...[name, i + 1, face.found, face.score, ...face.box],
      ...names.map((task) => face[task].label),
      ...[face.class, face.name],
      ...columns.map(([task, key]) => face[task].probabilities[key]),
      face.years,
    ]);
  });
  return [header, ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

/** The picture with a box and the prediction for each face, as a JPEG. */
export async function toPicture(image, photo) {
  const pixels = image.naturalWidth * image.naturalHeight;
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / pixels));
  const width = Math.round(image.naturalWidth * scale);
  const height = Math.round(image.naturalHeight * scale);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0, width, height);
  const size = Math.max(11, Math.round(Math.min(width, height) / 32));
  context.font = `${size}px system-ui, sans-serif`;
  context.textBaseline = "top";
  photo.faces.forEach((face, i) => {
    const color = COLORS[i % COLORS.length];
    const sides = [width / photo.width, height / photo.height];
    const [x0, y0, x1, y1] = face.box.map((v, side) => v * sides[side % 2]);
    context.lineWidth = Math.max(2, size / 6);
    context.strokeStyle = context.fillStyle = color;
    context.strokeRect(x0, y0, x1 - x0, y1 - y0);
    drawLabel(context, describe(face), { x: x0, y0, y1, size, width, height, color });
  });
  return canvas.convertToBlob({ type: "image/jpeg", quality: 0.92 });
}

/** Draw a label above its box, or below where there is no room. */
function drawLabel(context, text, { x, y0, y1, size, width, height, color }) {
  const pad = size / 3;
  const [across, down] = [context.measureText(text).width + 2 * pad, size + 2 * pad];
  const left = Math.max(0, Math.min(x, width - across));
  const top = y0 >= down ? y0 - down : Math.min(y1, height - down);
  context.fillStyle = color;
  context.fillRect(left, top, across, down);
  context.fillStyle = "#fff";
  context.fillText(text, left + pad, top + pad, width - 2 * pad);
}

const TYPES = { json: "application/json", csv: "text/csv" };

/** Save results as a file; `type` is json or csv. */
export function saveText(type, name, results, card) {
  const text = type === "json" ? toJson(results, card) : toCsv(results);
  save(`${stem(name)}.${type}`, new Blob([text], { type: TYPES[type] }));
}

/** Save the annotated picture. */
export async function savePicture(name, image, photo) {
  save(`${stem(name)}-predictions.jpg`, await toPicture(image, photo));
}
